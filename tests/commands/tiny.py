"""A tiny trained pipeline and a corpus that it knows, for commands that take what training has made."""

import json
import shutil
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.lang.en import EnglishDefaults
from spacy.tokens import DocBin
from typer.testing import CliRunner, Result

from spacy_bert_ner.cli import bert_ner_cli

FIXTURE = Path(__file__).parents[1] / "fixtures" / "v0.2.0"


def save_model(folder: Path) -> Path:
    """RETURNS: The folder of a pipeline that knows PER, ORG and LOC."""
    shutil.copytree(FIXTURE / "model", folder / "model")
    # The tokenizer's words as tests/conftest.py leaves them: what is loaded again and again is loaded fast.
    tokenizer = srsly.msgpack_loads((folder / "model" / "tokenizer").read_bytes())
    tokenizer["exceptions"] = dict(EnglishDefaults.tokenizer_exceptions)
    (folder / "model" / "tokenizer").write_bytes(srsly.msgpack_dumps(tokenizer))
    return folder / "model"


def save_corpus(path: Path) -> Path:
    """RETURNS: The path of a corpus with the entities that the pipeline finds."""
    nlp = spacy.blank("en")
    docs = []
    for row in json.loads((FIXTURE / "expected.json").read_text(encoding="utf8")):
        doc = nlp.make_doc(row["text"])
        doc.set_ents([doc.char_span(start, end, label) for start, end, label, _ in row["entities"]])
        docs.append(doc)
    DocBin(docs=docs).to_disk(path)
    return path


def invoke(*args: Any, **settings: Any) -> Result:
    """Run a command. RETURNS: What came of it; an exception that is no exit is raised."""
    result = CliRunner().invoke(bert_ner_cli, list(map(str, args)), **settings)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def said(result: Result) -> str:
    """RETURNS: What a command printed, in one line."""
    return " ".join(result.output.split())
