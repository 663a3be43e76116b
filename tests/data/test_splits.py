"""Finding the files of splits, and reading a corpus from a folder or from the Hub."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from spacy_bert_ner.data import (
    CorpusError,
    find_splits,
    make_doc,
    read_columns,
    read_corpus,
    summary_table,
    write_docs,
)
from tests.data.corpora import NLP, TINY, TWO, dataset, layout, read_back, tiny_dataset, write

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no folder shared/data beside the project")
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
        "place (--corpus FOLDER); HF_HUB_OFFLINE=1 takes what the Hub's cache holds"
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
