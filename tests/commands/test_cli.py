"""`python -m spacy bert-ner evaluate`."""

import json
import subprocess
import sys
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab
from typer.testing import CliRunner
from wasabi import msg

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.commands.evaluate import find_curve
from spacy_bert_ner.tags import Entity
from spacy_bert_ner.terminal import follow_terminal
from tests.evaluation.evaluating import EVERY_VERDICT, make_case

# `told`, the pipelines' component, is known to this process and to those that are given its file.
CODE = Path(__file__).parents[1] / "evaluation" / "evaluating.py"


@pytest.fixture
def case(tmp_path: Path) -> tuple[str, str]:
    """Save a pipeline and its corpus. RETURNS: Their paths."""
    nlp, gold = make_case(tmp_path, EVERY_VERDICT)
    nlp.to_disk(tmp_path / "model")
    return str(tmp_path / "model"), str(gold)


def run(*args: str) -> str:
    """Run a command that must succeed. RETURNS: What it printed."""
    result = CliRunner().invoke(bert_ner_cli, ["evaluate", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_evaluate_writes_measures_and_report(tmp_path: Path, case: tuple[str, str]) -> None:
    output, report = tmp_path / "new" / "test.json", tmp_path / "new" / "report.html"
    run(
        *case,
        "--json",
        str(output),
        "--report",
        str(report),
        "--train",
        case[1],
        "--compare",
        case[0],
        "--resamples",
        "100",
    )
    metrics = json.loads(output.read_text(encoding="utf8"))
    # What `package` reads.
    assert {"precision", "recall", "f1", "counts", "types", "corpus", "speed", "model"} <= set(metrics)
    assert metrics["f1"] == pytest.approx(6 / 15)
    assert metrics["comparison"]["rows"]["all"]["f1"]["difference"] == 0
    assert report.read_text(encoding="utf8").startswith("<!doctype html>")
    assert sorted(path.name for path in output.parent.iterdir()) == ["report.html", "test.json"]


def test_evaluate_without_files_prints_a_table(case: tuple[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    printed = run(*case, "--no-raw-text") + capfd.readouterr().out
    row = next(line.split() for line in printed.splitlines() if line.startswith("all"))
    assert row == ["all", "42.86", "37.50", "40.00", "25.00", "-", "57.14", "8", "7", "3"]
    assert "raw text" not in printed


def invoke(*args: str) -> tuple[int, str]:
    """Run a command. RETURNS: Its exit code and what it printed, in one line."""
    result = CliRunner().invoke(bert_ner_cli, ["evaluate", *args], catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


def test_labels_of_which_none_is_the_corpus_s_are_said_first_and_mapped(tmp_path: Path, capfd: Any) -> None:
    theirs = [(w, [Entity(*e[:2], f"x{e.label}") for e in gold], found, s) for w, gold, found, s in EVERY_VERDICT]
    nlp, gold = make_case(tmp_path, theirs)
    nlp.to_disk(tmp_path / "model")
    paths = (str(tmp_path / "model"), str(gold))
    code, printed = invoke(*paths, "--no-raw-text")
    assert code == 0
    said = "No label in common: the corpus has xLOC, xMISC, xORG, xPER, the pipeline LOC, MISC, ORG, PER"
    assert -1 < printed.find(said) < printed.find("precision")
    assert "--map LOC=xLOC" in printed
    output = tmp_path / "test.json"
    # Either way around.
    mapped = ["--map", "xLOC=LOC", "--map", "xORG=ORG", "--map", "PER=xPER", "--map", "xMISC=MISC", "--map", "PES=PER"]
    code, printed = invoke(*paths, "--json", str(output), *mapped, "--train", str(gold), "--compare", paths[0])
    assert code == 0
    assert "No label in common" not in printed
    assert "--map names PES, no label of" in printed
    metrics = json.loads(output.read_text(encoding="utf8"))
    assert metrics["f1"] == metrics["raw_text"]["f1"] == metrics["comparison"]["f1"] == pytest.approx(6 / 15)
    assert set(metrics["types"]) == {"LOC", "MISC", "ORG", "xPER"}
    assert metrics["parity"]["agree"]
    assert metrics["scores"]["without"] == 0


def test_labels_that_the_pipeline_has_and_does_not_predict_are_its_own(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PER", "pattern": "x"}, {"label": "ORG", "pattern": "Ann"}])
    nlp.to_disk(tmp_path / "model")
    doc = nlp("Ann sang")
    doc.ents = [Span(doc, 0, 1, "PER")]
    corpus = save(tmp_path / "c.spacy", doc)
    assert "No label in common" not in invoke(str(tmp_path / "model"), corpus)[1]


@pytest.mark.parametrize("pair", ["person", "person=", "=PER", ""])
def test_a_mapping_that_is_none_is_refused(case: tuple[str, str], pair: str) -> None:
    code, printed = invoke(*case, "--map", pair)
    assert (code, f"--map {pair}: expected such as person=PER" in printed) == (1, True)
    code, printed = invoke(*case, "--map", "a=b", "--map", "a=c")
    assert (code, "--map a=c: after --map a=b" in printed) == (1, True)


def test_every_error_is_listed_with_both_readings(tmp_path: Path, case: tuple[str, str]) -> None:
    run(*case, "--errors", str(tmp_path / "new" / "errors.jsonl"), "--no-raw-text")
    lines = (tmp_path / "new" / "errors.jsonl").read_text(encoding="utf8").splitlines()
    errors = [json.loads(line) for line in lines]
    assert Counter(error["verdict"] for error in errors) == {
        "type": 1,
        "boundary": 1,
        "both": 1,
        "missed": 2,
        "spurious": 1,
    }
    for error in errors:
        for reading in filter(None, (error["gold"], error["predicted"])):
            assert error["text"][reading["start"] : reading["end"]] == reading["text"]
    text = "Peter Blackburn saw Brussels, the European Commission and Bonn on Friday."
    gold = {"start": 20, "end": 28, "text": "Brussels", "label": "LOC", "tokens": [3, 4]}
    assert errors[0] == {
        "document": 0,
        "verdict": "type",
        "text": text,
        "gold": gold,
        "predicted": {**gold, "label": "ORG", "confidence": 0.95},
    }
    assert [error["predicted"] for error in errors if error["verdict"] == "missed"] == [None, None]


def save(path: Path, *docs: Doc) -> str:
    DocBin(docs=docs).to_disk(path)
    return str(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda vocab: [Doc(vocab, words=["Angela", "met", "Bob"])],
            "is annotated: was doc.ents set before it was saved?",
        ),
        (lambda vocab: [], "holds no document with a token"),
        (lambda vocab: [Doc(vocab)], "holds no document with a token"),
    ],
    ids=["unset", "no documents", "empty documents"],
)
def test_a_corpus_that_says_nothing_measures_nothing(tmp_path: Path, case: Any, make: Any, said: str) -> None:
    corpus, output = save(tmp_path / "c.spacy", *make(Vocab())), tmp_path / "out.json"
    code, printed = invoke(case[0], corpus, "--json", str(output))
    assert (code, said in printed) == (1, True), printed
    assert not output.exists()


def test_annotated_documents_without_entities_are_measured(tmp_path: Path, case: tuple[str, str]) -> None:
    doc = Doc(Vocab(), words=["Nobody", "met", "anybody"])
    doc.set_ents([])
    code, printed = invoke(case[0], save(tmp_path / "c.spacy", doc))
    assert (code, "Neither the corpus nor the pipeline's output has an entity." in printed) == (0, True)


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, case: tuple[str, str], tiny_bert: Path) -> None:
    (tmp_path / "test.conll").write_text("Ann B-PER\n", encoding="utf8")
    (tmp_path / "torn.spacy").write_bytes(b"half of it")
    (tmp_path / "folder").mkdir()
    cases = [
        ((case[0], tmp_path / "test.conll"), f"bert-ner convert {tmp_path / 'test.conll'} {tmp_path / 'test.spacy'}"),
        ((case[0], case[1], "--train", tmp_path / "test.conll"), "test.conll is no .spacy file"),
        ((case[0], tmp_path / "folder"), "folder holds no .spacy file"),
        ((case[0], tmp_path / "torn.spacy"), "torn.spacy cannot be read"),
        ((tmp_path / "nowhere", case[1]), "nowhere cannot be loaded"),
        ((case[0], case[1], "--compare", "en_nowhere"), "The pipeline en_nowhere cannot be loaded"),
        ((tiny_bert, case[1]), "is a pretrained encoder, expected a trained pipeline"),
    ]
    for args, said in cases:
        code, printed = invoke(*map(str, args))
        assert (code, said.replace(" ", "") in printed.replace(" ", "")) == (1, True), (args, printed)


def test_a_curve_beside_the_model_is_found(tmp_path: Path, case: tuple[str, str]) -> None:
    assert find_curve(Path(case[0])) == []
    (tmp_path / "curve.jsonl").write_text('{"step": 1, "score": 0.5}\n', encoding="utf8")
    assert len(find_curve(Path(case[0]))) == 1
    assert find_curve(Path("en_no_such_package")) == []


def test_a_missing_corpus_is_named(case: tuple[str, str]) -> None:
    result = CliRunner().invoke(bert_ner_cli, ["evaluate", case[0], "nowhere.spacy"])
    assert result.exit_code == 2
    assert "nowhere.spacy" in result.output


@pytest.mark.slow
def test_a_pipeline_whose_code_is_given(tmp_path: Path, case: tuple[str, str]) -> None:
    output = tmp_path / "test.json"
    command = [sys.executable, "-m", "spacy_bert_ner", "evaluate", *case, "--json", str(output), "--resamples", "100"]
    subprocess.run([*command, "--code", str(CODE)], check=True, capture_output=True)
    assert json.loads(output.read_text(encoding="utf8"))["f1"] == pytest.approx(6 / 15)


def test_spacy_finds_the_command() -> None:
    assert entry_points(group="spacy_cli")["bert_ner"].load() is bert_ner_cli


def test_importing_the_command_costs_next_to_nothing() -> None:
    code = (
        "import sys, spacy.cli; a = set(sys.modules); import spacy_bert_ner.cli; print(*sorted(set(sys.modules) - a))"
    )
    added = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {name.partition(".")[0] for name in added} & {"matplotlib", "torch", "transformers", "seqeval", "jinja2"}
    assert {name.partition(".")[0] for name in added} == {"spacy_bert_ner"}
    assert not [name for name in added if name.startswith("spacy_bert_ner.serving")]


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_colour_codes_where_there_is_no_terminal(
    case: tuple[str, str], no_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(msg, "show_color", True)
    monkeypatch.delenv("ANSI_COLORS_DISABLED", raising=False)
    printed = run(*case, "--no-raw-text", "--resamples", "100")
    assert "words per second" in printed
    assert "\x1b" not in printed
    # As it is left for what comes after.
    assert msg.show_color is False
    monkeypatch.delenv("ANSI_COLORS_DISABLED", raising=False)


def test_no_color_holds_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for no_color, terminal, expected in (("", True, True), ("", False, False), ("1", True, False)):
        monkeypatch.setenv("NO_COLOR", no_color)
        monkeypatch.setattr(msg, "show_color", True)
        monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)  # noqa: B023
        follow_terminal()
        assert msg.show_color is expected
        monkeypatch.delenv("ANSI_COLORS_DISABLED", raising=False)


@pytest.mark.parametrize(
    ("missing", "extra", "arguments"),
    [
        ("pyarrow", "train", ["convert", "rows.parquet", "out.spacy"]),
        ("jinja2", "train", ["evaluate", "model", "corpus.spacy"]),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, extra: str, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    DocBin(docs=[Doc(Vocab(), words=["a"], ents=["O"])]).to_disk(tmp_path / "corpus.spacy")
    spacy.blank("en").to_disk(tmp_path / "model")
    for name in [name for name in sys.modules if name.split(".")[0] == missing or name == "spacy_bert_ner.report"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    result = CliRunner().invoke(bert_ner_cli, arguments)
    assert result.exit_code == 1
    assert f"{missing} is not installed" in result.output
    assert f'pip install "spacy-bert-ner[{extra}]"' in " ".join(result.output.split())
