"""Column files: what is accepted, what is refused and in which words, and what spaCy reads back."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.training import Corpus

from spacy_bert_ner.data import (
    CorpusError,
    Sentence,
    read_columns,
    write_docs,
)
from spacy_bert_ner.data.notes import Notes
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.tags import SCHEMES, Entity
from tests.data.corpora import IOB, KNOWN, NLP, ONE, TINY, TWO, layout, read_back, write

ACCEPTED = {
    "two columns": ("-DOCSTART- O\n\n" + TINY, ONE),
    "four columns, IOB1": ("-DOCSTART- -X- O O\n\nAda NNP I-NP I-PER\nran V V O\n\nParis N N I-LOC\n", ONE),
    "five columns": ("-DOCSTART-\n\nAda a b c B-PER\nran a b c O\n\nParis a b c B-LOC\n", ONE),
    "tabs": ("-DOCSTART-\tO\n\nAda\tB-PER\nran\tO\n\nParis\tB-LOC\n", ONE),
    "tabs and blanks, blanks at the end": ("-DOCSTART- -X-\tO\nAda  N\tB-PER \nran\tN O\t\n \t\nParis N O\n", None),
    "CRLF and byte order mark": (("\ufeff-DOCSTART- O\n\n" + TINY).replace("\n", "\r\n"), ONE),
    "byte order mark before a token": ("\ufeff" + TINY + "\n-DOCSTART- O\n", ONE),
    "no newline at the end": ("-DOCSTART- O\n\nAda B-PER\nran O\n\nParis B-LOC", ONE),
    "no blank lines around DOCSTART": ("-DOCSTART- O\nAda B-PER\nran O\n-DOCSTART- O\nParis B-LOC\n", TWO),
    "spellings of DOCSTART": ("-DOCSTART-\n\nAda B-PER\nran O\n\n-DOCSTART- -X- OO O x y\n\nParis B-LOC\n", TWO),
    "no first DOCSTART": ("Ada B-PER\nran O\n\n-DOCSTART- -X- -X- O\n\nParis B-LOC\n", TWO),
    "documents without sentences": ("-DOCSTART- O\n\n-DOCSTART- O\n\n" + TINY + "\n-DOCSTART- O\n", ONE),
    "many blank lines": ("\n\n-DOCSTART- O\n\n\n" + TINY.replace("\n\n", "\n\n\n") + "\n\n\n", ONE),
    "BILUO": ("-DOCSTART- O\n\nAda U-PER\nran O\n\nParis U-LOC\n", ONE),
    "IOBES": ("-DOCSTART- O\n\nAda S-PER\nran O\n\nParis S-LOC\n", ONE),
    "labels with hyphens": (
        "-DOCSTART-\na B-work-of-art\nb I-work-of-art\n",
        [[["a/B-work-of-art", "b/I-work-of-art"]]],
    ),
    "hash tokens": ("-DOCSTART- O\n\n# O\n#1 O\n", [[["#", "#1"]]]),
    "a blank in a token between tabs": (
        "-DOCSTART-\nAda\tB-PER\nNew York\tB-LOC\n",
        [[["Ada/B-PER", "New York/B-LOC"]]],
    ),
    "odd spaces in tokens": ("-DOCSTART-\n\xa0 O\na\u2028b\x85 O\n", [[["\xa0", "a\u2028b\x85"]]]),
    "I- after another type": ("-DOCSTART-\na I-PER\nb I-LOC\nc I-LOC\n", [[["a/B-PER", "b/B-LOC", "c/I-LOC"]]]),
    "adjacent, IOB1": ("-DOCSTART-\na I-PER\nb B-PER\nc I-PER\n", [[["a/B-PER", "b/B-PER", "c/I-PER"]]]),
    "adjacent, BILUO": ("-DOCSTART-\na B-X\nb I-X\nc L-X\nd U-X\n", [[["a/B-X", "b/I-X", "c/I-X", "d/B-X"]]]),
    "an entity ends with its sentence": ("-DOCSTART-\na I-PER\n\nb I-PER\n", [[["a/B-PER"], ["b/B-PER"]]]),
}


@pytest.mark.parametrize(("content", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_columns_accepted(tmp_path: Path, content: str, expected: list[list[list[str]]] | None) -> None:
    expected = expected or [[["Ada/B-PER", "ran"], ["Paris"]]]
    assert layout(read_columns(write(tmp_path, content))) == expected


LINES = "expected lines of a token and its tag, a blank line after each sentence"
ICONV = (
    "expected a UTF-8 file: convert it with `iconv -f ENCODING -t UTF-8`, where ENCODING is the one of the program "
    "that wrote it (Windows writes CP1252, CP1251, CP932 and others, by country; look at a name with an accent "
    "afterwards)"
)
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", f": no sentences, {LINES}"),
    "DOCSTART only": ("-DOCSTART- O\n\n", f": no sentences, {LINES}"),
    "token only": ("Ada\n", f":1: found 'Ada' and no tag in any line, {LINES}"),
    "running text": ("\nAda ran.\nBob did not.\n", f":2: found 'Ada ran.' and no tag in any line, {LINES}"),
    "ragged": ("-DOCSTART- O\n\na x O\nb O\n", ":4: 2 columns, expected 3 as in line 3"),
    "ragged, later": ("a O\n\nb O\nc x O\n", ":4: 3 columns, expected 2 as in line 1"),
    "token only, later": ("a O\nb\n", ":2: 1 column, expected 2 as in line 1"),
    "empty token": ("a\tO\n\tB-PER\n", ":2: the token is empty, and its tag is 'B-PER', expected a token"),
    "unknown prefix": ("a O\nb X-PER\n", f":2: unknown tag 'X-PER', {KNOWN}"),
    "no label": ("a B-\n", f":1: unknown tag 'B-', {KNOWN}"),
    "no prefix, and no O": (
        "a PER\n",
        f":1: unknown tag 'PER', {KNOWN}; if all tags are types without a prefix, --format io reads them",
    ),
    "no prefix among others": (
        "a O\nb PER\nc B-LOC\n",
        f":2: unknown tag 'PER', {KNOWN}; if all tags are types without a prefix, --format io reads them",
    ),
    "lower case": (
        "a b-PER\nb O\n",
        f":1: unknown tag 'b-PER', {KNOWN}; all tags of a corpus are spelt alike, and prefixes are capitals: write "
        "B-PER",
    ),
    "no type": (
        "a O\nb B\nc I\n",
        ": the tags of column 2 are B, I and O, and name no type: say it with --label TYPE, such as --label Disease",
    ),
    "another sign for O": (
        "a B-X\nb _\n",
        f":2: unknown tag '_', {KNOWN}; if _ stands for what is outside of all entities, replace it by O",
    ),
    "a dash without O": (
        "a B-X\nb -\n",
        ":2: tag '-' in a corpus without O could be outside of all entities or unknown: replace it by O in the one "
        "case; in the other no token is known to be outside, and a component learns nothing from that",
    ),
    "a type of one letter called O": (
        "a B-P\nb B-O\n",
        ":2: tag 'B-O' could be outside of all entities or of a type O: replace it by O in the one case, and rename "
        "the type in the other",
    ),
    "two schemes": (
        "a U-X\n\nb E-X\n",
        ":3: tag 'E-X' (IOBES) where {file}:1 has 'U-X' (BILUO), expected one scheme",
    ),
    "L- after O": (
        "a U-X\nb O\nc L-X\n",
        ":3: tag 'L-X' after 'O', expected O, B- or U- (BILUO tags, as {file}:1 has 'U-X'; {IOB})",
    ),
    "E- at the start": (
        "a S-X\n\nb E-X\n",
        ":3: tag 'E-X' at the start of a sentence, expected O, B- or S- (IOBES tags, as {file}:1 has 'S-X'; {IOB})",
    ),
    "O within": (
        "a B-X\nb O\nc U-X\n",
        ":2: tag 'O' after 'B-X', expected I-X or L-X (BILUO tags, as {file}:3 has 'U-X'; {IOB})",
    ),
    "other type within": (
        "a B-X\nb I-Y\nc U-X\n",
        ":2: tag 'I-Y' after 'B-X', expected I-X or L-X (BILUO tags, as {file}:3 has 'U-X'; {IOB})",
    ),
    "unfinished": (
        "a S-X\nb B-X\nc I-X\n\nd O\n",
        ":3: the sentence ends after 'I-X', expected I-X or E-X to follow (IOBES tags, as {file}:1 has 'S-X'; {IOB})",
    ),
    "Latin-1": (
        "a O\né O\n".encode("latin-1"),
        f":2: byte 0xe9 at offset 4 is not UTF-8, {ICONV}",
    ),
    "Latin-1 after a byte order mark": (
        b"\xef\xbb\xbfa\xe9 O\n",
        f":1: byte 0xe9 at offset 4 is not UTF-8, {ICONV}",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_columns_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(CorpusError) as error:
        read_columns(path)
    assert str(error.value) == str(path) + message.replace("{file}", str(path)).replace("{IOB}", IOB)


@pytest.mark.parametrize(("n_sents", "sizes"), [(0, [1] * 23), (1, [1] * 23), (10, [10, 10, 3]), (99, [23])])
def test_sentences_to_a_document_where_nothing_tells(tmp_path: Path, n_sents: int, sizes: list[int]) -> None:
    notes = Notes()
    documents = read_columns(write(tmp_path, "a O\n\n" * 23), ReadingOptions(n_sents=n_sents), notes)
    assert [len(document.sentences) for document in documents] == sizes
    assumed = [
        kind for kind, _ in notes.lines() if "nothing tells where documents end, so each of the 23 sentences" in kind
    ]
    assert len(assumed) == (n_sents == 0)


def test_marked_documents_stay_as_they_are(tmp_path: Path) -> None:
    notes = Notes()
    documents = read_columns(write(tmp_path, "-DOCSTART- O\n\n" + TINY), ReadingOptions(n_sents=1), notes)
    assert layout(documents) == ONE
    assert "its documents are marked, and --n-sents changes nothing" in str(list(notes.lines()))


TOKEN = st.text(st.characters(exclude_characters=" \t\r\n\ufeff", exclude_categories=["Cs"]), min_size=1, max_size=6)


@st.composite
def sentences(draw: st.DrawFn) -> Sentence:
    runs = draw(
        st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "PER", "LOC", "a-b"])), min_size=1, max_size=5)
    )
    entities, end = [], 0
    for length, label in runs:
        entities += [Entity(end, end + length, label)] if label else []
        end += length
    tokens = draw(st.lists(TOKEN.filter(lambda token: token != "-DOCSTART-"), min_size=end, max_size=end))
    return Sentence(tuple(tokens), tuple(entities))


def iob1(sentence: Sentence) -> list[str]:
    """Spell entities as CoNLL-2003 does: B- only right after an entity of the same type."""
    tags = ["O"] * len(sentence.tokens)
    for start, end, label in sentence.entities:
        follows = start > 0 and tags[start - 1].partition("-")[2] == label
        tags[start:end] = ["B-" + label if follows else "I-" + label, *["I-" + label] * (end - start - 1)]
    return tags


def iobes(sentence: Sentence) -> list[str]:
    tags = SCHEMES["BILUO"].encode(sentence.entities, len(sentence.tokens))
    return [{"L": "E", "U": "S"}.get(tag[0], tag[0]) + tag[1:] for tag in tags]


SPELLINGS = {
    "IOB1": iob1,
    "IOB2": lambda sentence: SCHEMES["BIO"].encode(sentence.entities, len(sentence.tokens)),
    "BILUO": lambda sentence: SCHEMES["BILUO"].encode(sentence.entities, len(sentence.tokens)),
    "IOBES": iobes,
}


@pytest.mark.parametrize("scheme", SPELLINGS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(st.lists(sentences(), min_size=1, max_size=3), min_size=1, max_size=3))
def test_round_trip(tmp_path: Path, scheme: str, documents: list[list[Sentence]]) -> None:
    lines = []
    for document in documents:
        lines.append("-DOCSTART- O\n")
        for sentence in document:
            rows = zip(sentence.tokens, SPELLINGS[scheme](sentence), strict=True)
            lines.append("".join(f"{token} {tag}\n" for token, tag in rows))
    read = read_columns(write(tmp_path, "\n".join(lines)))
    assert [list(document.sentences) for document in read] == documents
    write_docs(read, tmp_path / "train.spacy")
    assert read_back(tmp_path / "train.spacy") == [document.sentences for document in read]


def test_every_token_is_annotated_and_files_are_deterministic(tmp_path: Path) -> None:
    documents = read_columns(write(tmp_path, "-DOCSTART- O\n\n" + TINY))
    for name in ("a.spacy", "b.spacy"):
        write_docs(documents, tmp_path / "new" / name)
    assert (tmp_path / "new/a.spacy").read_bytes() == (tmp_path / "new/b.spacy").read_bytes()
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a.spacy", "b.spacy"}
    (example,) = Corpus(tmp_path / "new/a.spacy")(NLP)
    assert [token.ent_iob_ for token in example.reference] == ["B", "O", "B"]
    assert [token.is_sent_start for token in example.reference] == [True, False, True]
