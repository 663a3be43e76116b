"""From judged documents to the files of an audit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.tokens import Doc, DocBin
from spacy.training.corpus import FILE_TYPE, walk_corpus

from spacy_bert_ner.data.exports.tasks import write_tasks
from spacy_bert_ner.ner.annotations import MISSING
from spacy_bert_ner.storage.files import write_atomically

from .audit_error import AuditError
from .audit_page import render_audit
from .doubts import Ranking, count_by_kind
from .shown_doubts import show_doubts, to_record, to_task

DOUBTS, PAGE, FIGURES = "doubts.jsonl", "audit.html", "figures.json"
# More likely wrong than right.
_LIKELY = 0.5


def read_every_document(corpus: Path) -> list[Doc]:
    """Read a corpus, with documents that have no token: those are left out by spaCy's reader, which shifts the others.

    corpus (Path): A `.spacy` file, or a folder with some.
    RETURNS (list[Doc]): The documents, each at its index in the file.
    """
    vocab = spacy.blank("xx").vocab
    paths = walk_corpus(corpus, FILE_TYPE)
    return [doc for path in paths for doc in DocBin().from_disk(path).get_docs(vocab)]


def check_annotated(docs: Sequence[Doc], where: Path) -> None:
    """RAISES: AuditError where documents have no annotation that could be wrong."""
    if not any(doc.has_annotation("ENT_IOB") for doc in docs):
        raise AuditError(f"No token of {where} is annotated: was doc.ents set before it was saved?")


def describe_audit(docs: Sequence[Doc], ranking: Ranking, listed: int, *, corpus: Path, judge: str) -> dict[str, Any]:
    """Sum an audit up.

    docs (Sequence[Doc]): The annotated documents.
    ranking (Ranking): Their places.
    listed (int): How many of these are written.
    corpus (Path): Where the documents are from.
    judge (str): What judged them, in words.
    RETURNS (dict[str, Any]): For JSON: "corpus", "judge", "documents", "words", "entities"; "unknown", tokens without
        annotation; "unjudged", entities that no model could judge; "places"; "likely", those more likely wrong than
        right; "kinds" of those listed; "strength" of the model's posteriors.
    """
    return {
        "corpus": corpus.as_posix(),
        "judge": judge,
        "documents": len(docs),
        "words": sum(map(len, docs)),
        "entities": sum(len(doc.ents) for doc in docs),
        "unknown": sum(token.ent_iob == MISSING for doc in docs for token in doc),
        "unjudged": ranking.unjudged,
        "places": len(ranking.doubts),
        "likely": sum(doubt.probability > _LIKELY for doubt in ranking.doubts),
        "kinds": count_by_kind(ranking.doubts[:listed]),
        "strength": ranking.strength,
    }


def write_audit(output: Path, docs: Sequence[Doc], ranking: Ranking, count: int, figures: dict[str, Any]) -> list[Path]:
    """Write the doubts: as lines, for annotation tools, and as a page.

    output (Path): The folder.
    docs (Sequence[Doc]): The annotated documents.
    ranking (Ranking): Their places.
    count (int): How many to write, the most doubtful ones.
    figures (dict[str, Any]): Of `describe_audit`.
    RETURNS (list[Path]): The files.
    """
    shown = show_doubts(docs, ranking.doubts[:count])
    lines = "".join(srsly.json_dumps(to_record(each)) + "\n" for each in shown)
    texts = {
        DOUBTS: lines,
        FIGURES: srsly.json_dumps(figures, indent=2) + "\n",
        PAGE: render_audit(shown, figures),
    }
    for name, text in texts.items():
        write_atomically(output / name, text.encode("utf8"))
    return [*(output / name for name in texts), *write_tasks([to_task(each) for each in shown], output)]
