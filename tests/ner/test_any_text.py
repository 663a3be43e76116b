# ruff: noqa: RUF001
"""Any text: prediction never fails, loses a document, changes a token, or lets one document spoil another's output.

The encoders are random, and so find entities everywhere, which is what puts the rules about them to the test.
"""

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import spacy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import fix_random_seed

from tests.scenarios import LISTENER, encoder_config, shared_config

LABELS = ("LOC", "ORG", "PER")
TEXTS = {
    "empty": "",
    "blanks": "   ",
    "whitespace": " \n\t\r\n\x0b\x0c \x85\u2028\u3000 \u00a0 \u2003 ",
    "outer whitespace": "\n\n  Jane met IBM \t\n",
    "inner whitespace": "Jane   Smith\n\n\nParis \u00a0 London",
    "control characters": "".join(map(chr, [*range(32), *range(127, 160)])),
    "control characters in words": "Ja\x00ne \x01\x02 Par\x07is \x1b[31mred\x1b[0m \x7f",
    "zero-width": "\u200b\u200c\u200d\ufeff\u2060 Ja\u200bne \u200b \ufeffParis\u00ad",
    "combining marks": "\u0301\u0302 e\u0301 Z" + "\u0335\u0321\u0353" * 40 + " J\u0332a\u0332n\u0332e",
    "only marks": "\u0301 \u20dd \u0e31 \u093f",
    "emoji": "👨‍👩‍👧‍👦👩🏽‍🚀 🇩🇪🇫🇷🇺 1️⃣ ☺️ ☺ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ✊🏿🏿 ‍👧",
    "right to left": "التقت أنجيلا ميركل بالمسؤولين في جنيف؛ ירושלים שְׁלוֹמִי \u202eenaJ\u202c met \u2067پاریس\u2069",
    "mixed scripts": "Jane約翰Иванов في Παρίσι에서 ปารีส दिल्ली ᏣᎳᎩ በአዲስ IBMは2026年",
    "unknown to any vocabulary": "𒀀𒁀𒂠 \ue000\uf8ff \U000f0000 \u0378 \uffff\U0010ffff 𓀀 ꙮ",
    "compatibility": "ﬁﬂ ﷺ" + "ﷺ" * 300 + " Ⅷ ㍿ İıſß ǅ K",
    "special pieces": "[CLS] [SEP] [PAD] [UNK] [MASK] <s> </s> <pad> <unk> <mask> ##a Ġ ▁ @@",
    "punctuation": "." * 300 + "-" * 300 + "\"'`´“”‘’«»()[]{}<>" * 10,
    "code": "SELECT * FROM `a` WHERE x='\\u0000' -- %s %d {0} ${jndi:ldap://x} <script>alert(1)</script>",
    "addresses": "https://user:pw@exämple.com:80/" + "a/" * 200 + "?q=%00#x jane@ibm.com \\\\server\\share",
    "numbers": "1" * 500 + " 1e999 -0 ٣٤ ⅔ NaN inf 0x00 1,000,000.00",
    "a token of 200,000 characters": "x" * 200_000,
    "10,000 one-letter tokens": "a " * 10_000,
}
WORDS = {
    "a token of 200,000 characters among others": ["Jane", "y" * 200_000, "Paris"],
    "a token of 200,000 marks": ["e" + "\u0301" * 200_000],
    "a token of 200,000 emoji": ["🙂" * 200_000],
    "10,000 tokens that no vocabulary knows": ["\ue000"] * 10_000,
    "longer than spaCy's max_length": ["z" * 150_000] * 7,
    "whitespace within tokens": ["New York", " ", "\n", "a b\tc", "\u3000"],
}
NEIGHBOURS = ["Jane Smith met IBM near Paris on Monday.", "Unlucky Londoners said: the man of 42 works in the U.N."]
# What documents are put together of, beside any characters.
FRAGMENTS = ["Jane", "IBM", "Paris", "the", " ", "  ", "\n", "\t", ".", ",", "-", "'s", "42", "\u200b", "\u0301"]
FRAGMENTS += ["\x00", "é", "約", "في", "🙂", "👩🏽‍🚀", "\ufeff", "\u202e", "\ue000", "[SEP]", "</s>", "\u00a0", "\x1f"]
FRAGMENTS += ["x" * 200, "\u2019"]

characters = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
any_text = st.one_of(characters, st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join))
word = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), st.sampled_from(FRAGMENTS))
# Tokens, each with whether a blank follows and whether a sentence starts there (None: not known).
tokens = st.lists(st.tuples(word, st.booleans(), st.sampled_from([True, False, None])), max_size=30)

# A batch takes a few hundredths of a second.
thorough = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Output(NamedTuple):
    """What a component said about a document."""

    entities: list[tuple[int, int, str]]
    scores: np.ndarray


class Case(NamedTuple):
    """A pipeline, and what it says of NEIGHBOURS when they are alone."""

    nlp: Language
    neighbours: list[Output]


def output_of(doc: Doc) -> Output:
    return Output([(e.start, e.end, e.label_) for e in doc.ents], doc.spans["bert_ner"].attrs["scores"])


def alone(folder: Path) -> Language:
    return pipeline(encoder_config(folder))


def sharing(folder: Path) -> Language:
    return pipeline({"model": {"tok2vec": LISTENER}}, tok2vec=shared_config(folder))


def cnn(folder: Path) -> Language:
    sizes = {"width": 16, "depth": 1, "embed_size": 100, "window_size": 1, "maxout_pieces": 2}
    tok2vec = {"@architectures": "spacy.HashEmbedCNN.v2", "subword_features": True, "pretrained_vectors": None, **sizes}
    return pipeline({"model": {"tok2vec": tok2vec}, "scheme": "BILUO"})


def pipeline(config: dict[str, Any], tok2vec: dict[str, Any] | None = None) -> Language:
    fix_random_seed(0)
    nlp = spacy.blank("en")
    if tok2vec is not None:
        nlp.add_pipe("tok2vec", config=tok2vec)
    component: Any = nlp.add_pipe("bert_ner", config=config)
    for label in LABELS:
        component.add_label(label)
    nlp.initialize()
    return nlp


@pytest.fixture(scope="module")
def cases(tiny_encoder: Callable[[str], Path]) -> Callable[[str], Case]:
    """Give a function: "encoder kind" to a pipeline of that kind."""
    made: dict[str, Case] = {}

    def make(name: str) -> Case:
        if name not in made:
            encoder, kind = name.split()
            nlp = {"alone": alone, "sharing": sharing, "cnn": cnn}[kind](tiny_encoder(encoder))
            neighbours = [output_of(nlp(text)) for text in NEIGHBOURS]
            assert any(output.entities for output in neighbours)
            made[name] = Case(nlp, neighbours)
        return made[name]

    return make


def check(case: Case, docs: Sequence[Doc]) -> int:
    """Run documents in one batch with well-behaved ones around each of them. RETURNS: How many entities they have."""
    first, second = (case.nlp.make_doc(text) for text in NEIGHBOURS)
    stream = [copied for doc in docs for copied in (first.copy(), doc, second.copy())]
    before = [[token.text_with_ws for token in doc] for doc in stream]
    read = list(case.nlp.pipe(stream, batch_size=len(stream)))
    assert all(a is b for a, b in zip(read, stream, strict=True))
    assert [[token.text_with_ws for token in doc] for doc in read] == before
    for doc in read:
        check_entities(doc)
    good = [doc for i, doc in enumerate(read) if i % 3 != 1]
    for doc, expected in zip(good, case.neighbours * len(docs), strict=True):
        found = output_of(doc)
        assert found.entities == expected.entities
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    return sum(len(doc.ents) for doc in docs)


def check_entities(doc: Doc) -> None:
    group = doc.spans["bert_ner"]
    assert [(e.start, e.end, e.label) for e in doc.ents] == [(s.start, s.end, s.label) for s in group]
    assert {ent.label_ for ent in doc.ents} <= set(LABELS)
    for ent in doc.ents:
        assert 0 <= ent.start < ent.end <= len(doc)
        assert not ent[0].is_space
        assert not ent[-1].is_space
    assert all(a.end <= b.start for a, b in zip(doc.ents, doc.ents[1:], strict=False))
    for name in ("scores", "any_label", "runner_up_scores"):
        values = group.attrs[name]
        assert len(values) == len(group)
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1 + 1e-6)).all()
    assert doc.has_annotation("ENT_IOB") or not len(doc)


def check_texts(case: Case, texts: Sequence[str]) -> int:
    docs = [case.nlp.make_doc(text) for text in texts]
    entities = check(case, docs)
    for doc, text in zip(docs, texts, strict=True):
        assert doc.text == text
        assert all(ent.text == ent.text.strip() != "" for ent in doc.ents)
    return entities


KINDS = ["bert sharing", "bert-cased alone", "roberta alone", "xlm-roberta alone", "bert cnn"]


@pytest.mark.parametrize("kind", KINDS)
def test_nasty_texts(cases: Callable[[str], Case], kind: str) -> None:
    assert sum(check_texts(cases(kind), [text]) for text in TEXTS.values()) > 100
    check_texts(cases(kind), list(TEXTS.values()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WORDS)
def test_nasty_tokens(cases: Callable[[str], Case], kind: str, name: str) -> None:
    nlp = cases(kind).nlp
    check(cases(kind), [Doc(nlp.vocab, words=WORDS[name])])
    check(cases(kind), [Doc(nlp.vocab, words=WORDS[name], spaces=[False] * len(WORDS[name]))])


def test_the_corpus_is_what_it_says(cases: Callable[[str], Case]) -> None:
    nlp = cases("bert sharing").nlp
    assert len(Doc(nlp.vocab, words=WORDS["longer than spaCy's max_length"]).text) > nlp.max_length
    assert len(nlp.make_doc(TEXTS["10,000 one-letter tokens"])) == 10_000
    assert [len(token) for token in nlp.make_doc(TEXTS["a token of 200,000 characters"])] == [200_000]
    categories = {unicodedata.category(c) for text in TEXTS.values() for c in text}
    assert categories >= {"Cc", "Cf", "Co", "Cn", "Mn", "Me", "Zs"}


@pytest.mark.parametrize("kind", ["bert sharing", "roberta alone", "xlm-roberta alone", "bert cnn"])
@thorough
@given(texts=st.lists(any_text, min_size=1, max_size=6))
def test_any_texts(cases: Callable[[str], Case], kind: str, texts: list[str]) -> None:
    check_texts(cases(kind), texts)


@pytest.mark.parametrize("kind", ["bert sharing", "roberta alone", "bert cnn"])
@thorough
@given(batch=st.lists(tokens, min_size=1, max_size=4))
def test_any_tokens(cases: Callable[[str], Case], kind: str, batch: list[list[tuple[str, bool, bool | None]]]) -> None:
    case = cases(kind)
    docs = []
    for rows in batch:
        words, spaces, starts = ([row[i] for row in rows] for i in range(3))
        docs.append(Doc(case.nlp.vocab, words=words, spaces=spaces, sent_starts=starts))
    check(case, docs)
    for doc in docs:
        assert all(not any(token.is_sent_start for token in ent[1:]) for ent in doc.ents)


def test_what_spacy_itself_refuses(cases: Callable[[str], Case]) -> None:
    nlp = cases("bert sharing").nlp
    for refused, error in (("\ud83d", UnicodeEncodeError), ("z" * (nlp.max_length + 1), ValueError)):
        with pytest.raises(error):
            nlp.make_doc(refused)
    for token, error in (("\ud83d", UnicodeEncodeError), ("", ValueError)):
        with pytest.raises(error):
            Doc(nlp.vocab, words=[token])
