"""`bert_ner` put into pipelines that people have, and taken out again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from tests.scenarios import (
    CNN,
    LINES,
    TEXTS,
    encoder_config,
    entities,
    examples_of,
    expected_entities,
    make_pipeline,
    train,
)

RULES = [{"label": "VERB", "pattern": "met"}, {"label": "GPE", "pattern": [{"LOWER": "near"}, {"LOWER": "paris"}]}]


@pytest.fixture(scope="module")
def trained(tiny_bert: Path) -> Language:
    nlp = make_pipeline(tiny_bert)
    train(nlp)
    assert found(nlp) == expected_entities()
    return nlp


@pytest.fixture
def stranger(tiny_bert: Path) -> Language:
    """A pipeline that somebody has already: a tagger with a tok2vec of its own and a sentencizer."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("tagger").add_label("N")  # type: ignore[attr-defined]
    nlp.initialize()
    return nlp


def found(nlp: Language) -> list[list[tuple[str, str]]]:
    return [entities(doc) for doc in nlp.pipe(TEXTS)]


# --- adding ----------------------------------------------------------------------------------------------------------


def test_sourced(trained: Language, stranger: Language, tmp_path: Path) -> None:
    stranger.add_pipe("bert_ner", source=trained)
    assert found(stranger) == expected_entities()
    assert all(token.tag_ == "N" for doc in stranger.pipe(TEXTS) for token in doc)
    stranger.to_disk(tmp_path)
    assert found(spacy.load(tmp_path)) == expected_entities()


def test_sourced_under_another_name(trained: Language, stranger: Language, tmp_path: Path) -> None:
    stranger.add_pipe("bert_ner", source=trained, name="names")
    assert found(stranger) == expected_entities()
    stranger.to_disk(tmp_path)
    assert found(spacy.load(tmp_path)) == expected_entities()


def test_a_strangers_pipeline_stays_as_it_was(trained: Language, stranger: Language) -> None:
    tok2vec = {"@architectures": "spacy.HashEmbedCNN.v2", **{key: CNN[key] for key in CNN if key != "@architectures"}}
    stranger.add_pipe("tok2vec", config={"model": tok2vec}).initialize(lambda: examples_of(stranger), nlp=stranger)  # type: ignore[attr-defined]
    before = [doc.tensor for doc in stranger.pipe(TEXTS)]
    stranger.add_pipe("bert_ner", source=trained)
    for doc, tensor in zip(stranger.pipe(TEXTS), before, strict=True):
        np.testing.assert_allclose(doc.tensor, tensor, atol=1e-6)
        assert doc[0].vector.shape == (CNN["width"],)
        assert doc[:2].as_doc().tensor.shape == (2, CNN["width"])
        assert not doc.user_data


def test_beside_an_encoder_that_is_there_already(trained: Language, tiny_bert: Path) -> None:
    source = spacy.blank("en").from_config(trained.config).from_bytes(trained.to_bytes())
    theirs = make_pipeline(tiny_bert, ("tagger",))
    train(theirs)
    tags = [[token.tag_ for token in doc] for doc in theirs.pipe(TEXTS)]
    theirs.add_pipe("bert_ner", source=source, first=True)
    docs = list(theirs.pipe(TEXTS))
    assert [[token.tag_ for token in doc] for doc in docs] == tags == [tags for _, _, tags in LINES]
    assert [entities(doc) for doc in docs] == expected_entities()


def test_sourced_by_config(trained: Language, tmp_path: Path) -> None:
    trained.to_disk(tmp_path)
    config = f"""
[nlp]
lang = "en"
pipeline = ["bert_ner"]

[components]

[components.bert_ner]
source = "{tmp_path}"
"""
    nlp = spacy.util.load_model_from_config(spacy.util.Config().from_str(config), auto_fill=True)
    assert found(nlp) == expected_entities()


def test_taken_out_again(trained: Language, stranger: Language) -> None:
    stranger.add_pipe("bert_ner", source=trained)
    stranger.remove_pipe("bert_ner")
    assert found(stranger) == [[], [], []]


# --- doc.ents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "overwrite", "expected"),
    [
        # Rules first: they stay, and ours fill around them.
        ("first", False, [[("Jane", "PER"), ("met", "VERB"), ("IBM", "ORG")], [("IBM", "ORG"), ("near Paris", "GPE")]]),
        # Rules first, and ours replace them.
        ("first", True, [[("Jane", "PER"), ("IBM", "ORG")], [("IBM", "ORG"), ("Paris", "LOC")]]),
        # Rules last: spaCy's ruler keeps what is there and fills around it.
        ("last", False, [[("Jane", "PER"), ("met", "VERB"), ("IBM", "ORG")], [("IBM", "ORG"), ("Paris", "LOC")]]),
    ],
)
def test_beside_an_entity_ruler(
    trained: Language, place: str, overwrite: bool, expected: list[list[tuple[str, str]]], tmp_path: Path
) -> None:
    trained.to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config={"components.bert_ner.overwrite": overwrite})
    nlp.add_pipe("entity_ruler", **{place: True}).add_patterns(RULES)  # type: ignore
    assert found(nlp) == [*expected, []]


@pytest.mark.parametrize("overwrite", [False, True])
def test_behind_another_ner(trained: Language, overwrite: bool, tmp_path: Path) -> None:
    @Language.component("other_ner")
    def other_ner(doc: Doc) -> Doc:
        doc.ents = [Span(doc, max(len(doc) - 2, 0), len(doc), "OTHER")]
        return doc

    trained.to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config={"components.bert_ner.overwrite": overwrite})
    nlp.add_pipe("other_ner", first=True)
    if overwrite:
        assert found(nlp) == expected_entities()
    else:
        assert found(nlp) == [
            [("Jane", "PER"), ("met IBM", "OTHER")],
            [("IBM", "ORG"), ("near Paris", "OTHER")],
            [("unlucky Londoners", "OTHER")],
        ]


def test_before_spacys_own_ner(trained: Language, tmp_path: Path) -> None:
    trained.to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    nlp.add_pipe("ner").initialize(lambda: examples_of(nlp), nlp=nlp)  # type: ignore[attr-defined]
    # It may add what it likes around ours.
    assert all(set(ours) <= set(all_of_them) for ours, all_of_them in zip(expected_entities(), found(nlp), strict=True))


def test_spans_as_the_only_output(trained: Language, tmp_path: Path) -> None:
    trained.to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config={"components.bert_ner": {"annotate_ents": False, "spans_key": "names"}})
    nlp.add_pipe("entity_ruler", first=True).add_patterns(RULES)  # type: ignore[attr-defined]
    doc = nlp("IBM works near Paris")
    assert entities(doc) == [("near Paris", "GPE")]
    assert [(span.text, span.label_) for span in doc.spans["names"]] == [("IBM", "ORG"), ("Paris", "LOC")]
    assert all(span._.confidence > 0.5 for span in doc.spans["names"])
    nlp.to_disk(tmp_path / "again")
    assert entities(spacy.load(tmp_path / "again")("IBM works near Paris")) == [("near Paris", "GPE")]


def test_no_output_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="spans_key"):
        spacy.blank("en").add_pipe("bert_ner", config={"annotate_ents": False, "spans_key": None})


# --- tokens that change ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [False, True])
def test_other_components_may_merge_and_split_tokens(trained: Language, first: bool) -> None:
    @Language.component("join_works_near", retokenizes=True)
    def join(doc: Doc) -> Doc:
        for start in range(len(doc) - 1):
            if [token.text for token in doc[start : start + 2]] == ["works", "near"]:
                with doc.retokenize() as retokenizer:
                    retokenizer.merge(doc[start : start + 2])
                break
        return doc

    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", source=trained)
    nlp.add_pipe("join_works_near", **({"first": True} if first else {}))
    doc = nlp(TEXTS[1])
    assert [token.text for token in doc] == ["IBM", "works near", "Paris"]
    assert ("IBM", "ORG") in entities(doc)
    assert ("works near", "LOC") not in entities(doc)


def test_a_shared_encoders_vectors_follow_the_tokens(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert, ("bert_ner", "tagger"))
    nlp.add_pipe("merge_words", before="bert_ner")
    doc = nlp(TEXTS[1])
    assert len(doc) == 3
    assert doc.tensor.shape[0] == 3


@Language.component("merge_words", retokenizes=True)
def merge_words(doc: Doc) -> Doc:
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[:2])
    return doc


# --- languages and encoders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "text", "words"),
    [
        # Characters for words, no spaces; a word per token in the encoder's eyes too.
        ("zh", "约翰在巴黎", ["约", "翰", "在", "巴", "黎"]),
        ("de", "Die Bundesärztekammer-Präsidentin war in Köln.", None),
        ("tr", "İstanbul'da IŞIK var.", None),
        ("xx", "Ärzte ohne Grenzen 無国界", None),
        ("fr", "L'Élysée a dit non.", None),
    ],
)
@pytest.mark.parametrize("encoder", ["bert", "bert-cased", "xlm-roberta"])
def test_any_language(
    tiny_encoder: Callable[[str], Path], encoder: str, lang: str, text: str, words: list[str] | None
) -> None:
    nlp = make_pipeline(tiny_encoder(encoder), lang=lang)
    doc = nlp(text)
    assert doc.text == text
    assert words is None or [token.text for token in doc] == words
    target = [Span(doc, len(doc) - 2, len(doc) - 1, "LOC")]
    gold = doc.copy()
    gold.set_ents(target)
    optimizer = nlp.resume_training()
    optimizer.learn_rate = 0.005
    for _ in range(40):
        nlp.update([spacy.training.Example(nlp.make_doc(text), gold)], sgd=optimizer)
    assert entities(nlp(text)) == [(span.text, span.label_) for span in target]


def test_tokens_that_the_encoder_splits_otherwise(tiny_bert: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config=encoder_config(tiny_bert)).add_label("LOC")  # type: ignore[attr-defined]
    nlp.initialize()
    # One token with spaces in it, one of half a word, one of punctuation between letters.
    doc = Doc(nlp.vocab, words=["New York City", "Lon", "don", "a-b.c", "..", " "], spaces=[False] * 6)
    (read,) = nlp.pipe([doc])
    assert [token.text for token in read] == ["New York City", "Lon", "don", "a-b.c", "..", " "]
    lengths = nlp.get_pipe("bert_ner").model.get_ref("tok2vec").predict([read]).pieces  # type: ignore[attr-defined]
    assert lengths.min() >= 1
    assert lengths[0] > 3
