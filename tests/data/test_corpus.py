"""The corpus readers: what they accept, what they refuse and in which words, and what spaCy reads back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import spacy
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.training import Corpus

from spacy_bert_ner.data import (
    CorpusError,
    Document,
    Rows,
    Sentence,
    dataset_rows,
    find_splits,
    make_doc,
    parquet_rows,
    read_columns,
    read_corpus,
    read_rows,
    summary_table,
    write_docs,
)
from spacy_bert_ner.data.notes import Notes
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.tags import SCHEMES, Entity

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no folder shared/data beside the project")

NLP = spacy.blank("en")
NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TINY = "Ada B-PER\nran O\n\nParis B-LOC\n"


def write(folder: Path, content: str | bytes, name: str = "train.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def layout(documents: Sequence[Document]) -> list[list[list[str]]]:
    """Spell documents out: a list of sentences each, a sentence as tokens, entities in brackets."""
    return [[spell(sentence) for sentence in document.sentences] for document in documents]


def spell(sentence: Sentence) -> list[str]:
    tags = SCHEMES["BIO"].encode(sentence.entities, len(sentence.tokens))
    return [f"{token}/{tag}" if tag != "O" else token for token, tag in zip(sentence.tokens, tags, strict=True)]


def dataset(tokens: list[Any], tags: list[Any], tag: Any = None, **columns: list[Any]) -> Dataset:
    """Make a data set in memory; its tags are ClassLabel unless another feature is given."""
    features = {"tokens": List(Value("string")), "ner_tags": List(tag or ClassLabel(names=NAMES))}
    other = {name: Value("int64" if isinstance(values[0], int) else "string") for name, values in columns.items()}
    return Dataset.from_dict({"tokens": tokens, "ner_tags": tags, **columns}, features=Features({**features, **other}))


def tiny_dataset() -> Dataset:
    return dataset([["Ada", "ran"], ["Paris"]], [[1, 0], [3]])


ONE = [[["Ada/B-PER", "ran"], ["Paris/B-LOC"]]]
TWO = [[["Ada/B-PER", "ran"]], [["Paris/B-LOC"]]]

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
IOB = "--format iob reads them by conlleval's rules"
ICONV = (
    "expected a UTF-8 file: convert it with `iconv -f ENCODING -t UTF-8`, where ENCODING is the one of the program "
    "that wrote it (Windows writes CP1252, CP1251, CP932 and others, by country; look at a name with an accent "
    "afterwards)"
)
KNOWN = "expected O or PREFIX-LABEL, with a prefix of B, I (IOB), B, I, L, U (BILUO) or B, I, E, S (IOBES)"
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
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def read_back(path: Path) -> list[tuple[Sentence, ...]]:
    """Read a .spacy file as training does, and check that the tokens to predict on are those of the corpus."""
    documents = []
    for example in Corpus(path)(NLP):
        doc = example.reference
        assert doc.has_unknown_spaces
        assert [token.text for token in example.predicted] == [token.text for token in doc]
        assert all(token.ent_iob_ in ("B", "I", "O") for token in doc)
        documents.append(
            tuple(
                Sentence(
                    tuple(token.text for token in sent),
                    tuple(Entity(ent.start - sent.start, ent.end - sent.start, ent.label_) for ent in sent.ents),
                )
                for sent in doc.sents
            )
        )
    return documents


def test_every_token_is_annotated_and_files_are_deterministic(tmp_path: Path) -> None:
    documents = read_columns(write(tmp_path, "-DOCSTART- O\n\n" + TINY))
    for name in ("a.spacy", "b.spacy"):
        write_docs(documents, tmp_path / "new" / name)
    assert (tmp_path / "new/a.spacy").read_bytes() == (tmp_path / "new/b.spacy").read_bytes()
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a.spacy", "b.spacy"}
    (example,) = Corpus(tmp_path / "new/a.spacy")(NLP)
    assert [token.ent_iob_ for token in example.reference] == ["B", "O", "B"]
    assert [token.is_sent_start for token in example.reference] == [True, False, True]


ROWS_ACCEPTED = {
    "ids, numbers": (dataset([["Ada", "ran"], ["Paris"]], [[1, 0], [3]], document_id=[7, 7]), ONE),
    "ids, strings": (dataset([["Ada", "ran"], ["Paris"]], [[1, 0], [3]], doc_id=["a", "b"]), TWO),
    "string tags": (dataset([["Ada", "ran"], ["Paris"]], [["U-PER", "O"], ["U-LOC"]], Value("string")), TWO),
    "DOCSTART rows": (
        dataset([["-DOCSTART-"], ["Ada", "ran"], ["-DOCSTART-"], ["Paris"]], [[0], [1, 0], [0], [3]]),
        TWO,
    ),
    "no first DOCSTART row": (dataset([["Ada", "ran"], ["-DOCSTART-"], ["Paris"]], [[1, 0], [-1], [3]]), TWO),
    "rows without tokens": (dataset([["Ada", "ran"], [], ["Paris"]], [[1, 0], [], [3]]), TWO),
}


@pytest.mark.parametrize(("rows", "expected"), ROWS_ACCEPTED.values(), ids=ROWS_ACCEPTED)
def test_rows_accepted(tmp_path: Path, rows: Dataset, expected: list[list[list[str]]]) -> None:
    rows.to_parquet(tmp_path / "rows.parquet")
    assert layout(read_rows([dataset_rows(rows, "rows")])) == expected
    assert layout(read_rows([parquet_rows(tmp_path / "rows.parquet")])) == expected


ROWS_REFUSED = {
    "lengths": (
        dataset([["a"], ["a", "b"]], [[0], [0]]),
        ": row 1: 2 tokens and 1 ner_tags, expected as many of both",
    ),
    "negative number": (dataset([["a", "b"]], [[0, -1]]), ": row 0, token 1: tag number -1, expected one from 0 to 4"),
    "no number": (dataset([["a", "b"]], [[0, None]]), ": row 0, token 1: tag number None, expected one from 0 to 4"),
    "no names": (
        dataset([["a"]], [[0]], Value("int64")),
        ": column ner_tags is List(Value('int64')), expected lists of strings, or of ClassLabel, which name the "
        "numbers: give the column a ClassLabel feature with `datasets`, or write the tags as strings",
    ),
    "unknown tag": (
        dataset([["a"], ["a"]], [["O"], ["X-PER"]], Value("string")),
        f": row 1, token 0: unknown tag 'X-PER', {KNOWN}",
    ),
    "unknown tag among names": (
        dataset([["a"]], [[1]], ClassLabel(names=["O", "X-PER", "B-PER"])),
        f": row 0, token 0: unknown tag 'X-PER', {KNOWN}",
    ),
    "no tag": (dataset([["a"]], [[None]], Value("string")), f": row 0, token 0: unknown tag None, {KNOWN}"),
    "illegal sequence": (
        dataset([["a", "b"]], [["O", "L-X"]], Value("string")),
        ": row 0, token 1: tag 'L-X' after 'O', expected O, B- or U- (BILUO tags, as {file}: row 0, token 1 has "
        "'L-X'; {IOB})",
    ),
    "empty token": (dataset([["a", ""]], [[0, 0]]), ": row 0, token 1: an empty token, expected text"),
    "null tokens": (dataset([["a"], None], [[0], [0]]), ": row 1: no tokens, expected a list"),
    "null tags": (dataset([["a"], ["b"]], [[0], None]), ": row 1: no ner_tags, expected a list"),
    "null id": (
        dataset([["a"], ["b"]], [[0], [0]], document_id=[1, None]),
        ": row 1: no document_id, expected one in every row, or no such column",
    ),
    "no tags": (
        dataset([["a"]], [[0]]).remove_columns("ner_tags"),
        ": no column of tags (ner_tags, tags, ner, labels) among tokens: say which it is with --tag-column NAME",
    ),
    "tokens that are no lists": (
        Dataset.from_dict({"tokens": ["a b"], "ner_tags": [["O", "O"]]}),
        ": column tokens is Value('string'), expected lists of strings",
    ),
    "no rows": (dataset([], []), ": no sentences, expected rows with tokens"),
}


@pytest.mark.parametrize(("rows", "message"), ROWS_REFUSED.values(), ids=ROWS_REFUSED)
def test_rows_refused(tmp_path: Path, rows: Dataset, message: str) -> None:
    path = tmp_path / "rows.parquet"
    rows.to_parquet(path)
    for name, source in (("Hub train", dataset_rows(rows, "Hub train")), (str(path), parquet_rows(path))):
        with pytest.raises(CorpusError) as error:
            read_rows([source])
        assert str(error.value) == name + message.replace("{file}", name).replace("{IOB}", IOB)


def test_number_out_of_range() -> None:
    batch = {"tokens": [["a", "b"]], "ner_tags": [[0, 5]]}
    rows = Rows("rows", tiny_dataset().features, 1, lambda columns: iter([batch]))
    with pytest.raises(CorpusError, match=r"^rows: row 0, token 1: tag number 5, expected one from 0 to 4$"):
        read_rows([rows])


def test_not_parquet(tmp_path: Path) -> None:
    path = write(tmp_path, "no parquet", "train.parquet")
    with pytest.raises(CorpusError) as error:
        parquet_rows(path)
    assert str(error.value).startswith(f"{path}: not a parquet file (Parquet magic bytes not found in footer.")


def test_document_ids_that_come_back() -> None:
    rows = dataset([["a"], ["b"], ["c"]], [[0], [0], [0]], document_id=[1, 2, 1])
    notes = Notes()
    assert [document.id for document in read_rows([dataset_rows(rows, "rows")], notes=notes)] == ["1", "2", "1"]
    said = "rows: 1 times a document id comes back later; each run is a document of its own"
    assert list(notes.lines()) == [(said, [])]


FOLDERS = {
    "original release": (["eng.train", "eng.testa", "eng.testb"], None),
    "usual copy": (["train.txt", "valid.txt", "test.txt"], None),
    "other copies": (["train.conll", "dev.conll", "test.conll"], None),
    "prefixes, upper case, other files": (["x_Train.IOB", "x-dev.bio", "x.test.iob2", "README.md", ".train.txt"], None),
    "original release with suffix": (["eng.train.txt", "eng.testa.txt", "eng.testb.txt", "eng.train.spacy"], None),
    "no suffix": (["train", "validation", "test", "manifest.json"], None),
    "parquet": (["train.parquet", "validation.parquet", "test.parquet"], None),
    "shards": (
        ["train-00001-of-00002.parquet", "train-00000-of-00002.parquet", "dev-00000-of-00001.parquet", "test.parquet"],
        None,
    ),
    "nothing": ([], "no train and no dev and no test file among nothing, {expected}"),
    "one missing": (["train.txt", "test.txt"], "no dev file among test.txt, train.txt, {expected}"),
    "two of one": (
        ["train.txt", "eng.train", "dev.txt", "test.txt"],
        "eng.train, train.txt could each be the train split, {one}",
    ),
    "testb and test": (
        ["train.txt", "testa.txt", "testb.txt", "test.txt"],
        "test.txt, testb.txt could each be the test split, {one}",
    ),
    "both forms": (
        ["train.txt", "dev.txt", "test.parquet"],
        "column files and parquet files (dev.txt, train.txt and test.parquet), expected one form: move the other away",
    ),
    "missing shard": (
        ["train-00001-of-00002.parquet", "dev.parquet", "test.parquet"],
        "train-00001-of-00002.parquet, expected 2 shards of the train split",
    ),
    "shards and whole": (
        ["train-00000-of-00001.parquet", "train.parquet", "dev.parquet", "test.parquet"],
        "train-00000-of-00001.parquet, train.parquet could each be the train split, {one}",
    ),
}
SUFFIXES = (".txt", ".conll", ".iob", ".bio", ".iob2", ".parquet", "train", "testa", "testb", "validation", "test")
EXPECTED = (
    "expected column files (train.txt, valid.txt and test.txt, or eng.train, eng.testa and eng.testb, or other usual "
    "names) or parquet files (train.parquet, validation.parquet and test.parquet, or their shards); `convert` takes "
    "other names as --train FILE, --dev FILE, --test FILE"
)


@pytest.mark.parametrize(("names", "message"), FOLDERS.values(), ids=FOLDERS)
def test_find_splits(tmp_path: Path, names: list[str], message: str | None) -> None:
    for name in names:
        write(tmp_path, "", name)
    if message is None:
        files = find_splits(tmp_path)
        assert list(files.paths) == ["train", "dev", "test"]
        found = [path.name for paths in files.paths.values() for path in paths]
        wanted = [name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        assert sorted(found) == sorted(wanted)
    else:
        with pytest.raises(CorpusError) as error:
            find_splits(tmp_path)
        split = "test" if "the test split" in message else "train"
        one = f"expected one: move the others away, or name it with --{split} FILE"
        assert str(error.value) == f"{tmp_path}: " + message.format(expected=EXPECTED, one=one)


def test_shards_are_read_in_order(tmp_path: Path) -> None:
    for i, word in enumerate(["Ada", "Bob", "Cy"]):
        rows = dataset([[word]], [[1]], document_id=[0])
        rows.to_parquet(tmp_path / f"train-{i:05}-of-00003.parquet")
    for name in ("validation", "test"):
        tiny_dataset().to_parquet(tmp_path / f"{name}.parquet")
    splits = read_corpus(tmp_path)
    assert list(splits) == ["train", "dev", "test"]
    assert layout(splits["train"]) == [[["Ada/B-PER"], ["Bob/B-PER"], ["Cy/B-PER"]]]


def test_sample_and_other_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("train", "dev", "test"):
        write(folder, TINY, f"{name}.conll")
    assert layout(read_corpus("sample", folder)["dev"]) == TWO
    assert read_corpus("elsewhere") == read_corpus(folder)
    (tmp_path / "sample").mkdir()
    with pytest.raises(CorpusError, match=r"^sample: no train and no dev and no test file among nothing, expected"):
        read_corpus("sample", folder)
    rest = (
        "expected a folder of CoNLL column files or parquet splits, 'sample', or the id of a data set on the Hub such "
        "as tomaarsen/conll2003"
    )
    for source, found in {
        "elsewhere/train.conll": "a file",
        "./nowhere": "no folder that exists, and not the form of a Hub id",
        "a/b/c": "no folder that exists, and not the form of a Hub id",
    }.items():
        with pytest.raises(CorpusError) as error:
            read_corpus(source, folder)
        assert str(error.value) == f"{source}: {found}, {rest}"


class Hub:
    """Stands in for the Hub: data sets by revision, and a record of what was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, splits: Mapping[str, Dataset], script: bool, files: list[str]):
        self.splits, self.script, self.files = splits, script, files
        self.calls: list[tuple[Any, ...]] = []
        monkeypatch.setattr("datasets.load_dataset", self.load_dataset)
        monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", self.dataset_info)

    def dataset_info(self, name: str, *, revision: str | None, timeout: float) -> SimpleNamespace:
        sha = "converted" if revision == "refs/convert/parquet" else "main"
        return SimpleNamespace(sha=sha, siblings=[SimpleNamespace(rfilename=name) for name in self.files])

    def load_dataset(self, name: str, config: str | None = None, **settings: str) -> DatasetDict:
        self.calls.append((name, config, settings))
        if self.script and settings["revision"] == "main":
            raise RuntimeError(f"Dataset scripts are no longer supported, but found {name}.py")
        return DatasetDict(self.splits)


def hub_splits(*names: str) -> dict[str, Dataset]:
    return {name: tiny_dataset() for name in names or ("train", "validation", "test")}


def test_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, hub_splits(), script=False, files=[])
    splits = read_corpus("org/name")
    assert {name: layout(documents) for name, documents in splits.items()} == dict.fromkeys(
        ("train", "dev", "test"), TWO
    )
    assert hub.calls == [("org/name", None, {"revision": "main"})]
    read_corpus("org/name:de")
    assert hub.calls[1:] == [("org/name", "de", {"revision": "main"})]


def test_hub_script(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(
        monkeypatch, hub_splits("train", "dev", "test"), script=True, files=["README.md", "base/train/0000.parquet"]
    )
    assert layout(read_corpus("conll2003")["test"]) == TWO
    assert hub.calls[1:] == [("conll2003", None, {"data_dir": "base", "revision": "converted"})]
    hub.files.append("other/train/0000.parquet")
    with pytest.raises(CorpusError, match=r"its configurations are base, other: name one, as in conll2003:CONFIG"):
        read_corpus("conll2003")
    read_corpus("conll2003:other")
    assert hub.calls[-1] == ("conll2003", None, {"data_dir": "other", "revision": "converted"})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["train", "test"],
            "x: no dev split among test, train, expected one of dev, devel, development, valid, validation, val, testa",
        ),
        (
            ["train", "dev", "val", "test"],
            "x: splits dev and val, expected one of dev, devel, development, valid, validation, val, testa",
        ),
    ],
)
def test_hub_splits(monkeypatch: pytest.MonkeyPatch, names: list[str], message: str) -> None:
    Hub(monkeypatch, hub_splits(*names), script=False, files=[])
    with pytest.raises(CorpusError) as error:
        read_corpus("x")
    assert str(error.value) == message


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", unreachable)
    with pytest.raises(CorpusError) as error:
        read_corpus("org/name")
    assert str(error.value) == (
        "Cannot load 'org/name' from the Hugging Face Hub, and no folder of that name is here (ConnectionError: no "
        "route). Check the name and the connection, or pass a folder of CoNLL column files or parquet splits in its "
        "place (--vars.corpus FOLDER); HF_HUB_OFFLINE=1 takes what the Hub's cache holds"
    )


def test_summary_table(tmp_path: Path) -> None:
    documents = read_columns(write(tmp_path, "-DOCSTART- O\n\n" + TINY))
    docs = [make_doc(document, NLP.vocab) for document in documents]
    lines = summary_table({"train": docs, "dev": None, "test": []}).splitlines()
    assert [line.split() for line in lines if line.strip() and "---" not in line] == [
        ["train", "dev", "test"],
        ["documents", "1", "missing", "0"],
        ["sentences", "2", "missing", "0"],
        ["tokens", "3", "missing", "0"],
        ["entities", "2", "missing", "0"],
        ["LOC", "1", "missing", "0"],
        ["PER", "1", "missing", "0"],
    ]


COUNTS = {"train": (946, 14041, 203621, 23499), "dev": (216, 3250, 51362, 5942), "test": (231, 3453, 46435, 5648)}


@needs_data
def test_conll2003(tmp_path: Path) -> None:
    columns, rows = read_corpus(DATA / "conll2003"), read_corpus(DATA / "hf_conll2003")
    for split, expected in COUNTS.items():
        both = [[sentence for document in form[split] for sentence in document.sentences] for form in (columns, rows)]
        assert both[0] == both[1]
        tokens, entities = (sum(len(getattr(s, name)) for s in both[0]) for name in ("tokens", "entities"))
        assert (len(columns[split]), len(both[0]), tokens, entities) == expected
        assert len(rows[split]) == expected[1]
    write_docs(columns["dev"], tmp_path / "dev.spacy")
    assert read_back(tmp_path / "dev.spacy") == [document.sentences for document in columns["dev"]]
