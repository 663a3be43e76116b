"""An audit's folder: what each fold's model said of the documents held out, resumed after an interruption.

audit.json                 of what it is the audit, to recognise another one
folds/fold-1.jsonl         posteriors of the documents of the first fold; written when all of it is done
folds/fold-1/              its training, with checkpoints, until then; a file "trained" where that has ended
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly
from spacy.tokens import Doc

from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.storage.provenance import content_sha256, versions
from spacy_bert_ner.storage.sources import pipeline_folder
from spacy_bert_ner.tags import Entity
from spacy_bert_ner.training.fingerprint import Fingerprint, differences

from .audit_error import AuditError
from .places import SpanPosteriors

IDENTITY, TRAINED = "audit.json", "trained"


@dataclass(frozen=True)
class Fold:
    """One of the folds.

    number (int): From 1.
    held_out (tuple[int, ...]): Indices of the documents that its model judges.
    training (tuple[int, ...]): Those that it is trained on.
    """

    number: int
    held_out: tuple[int, ...]
    training: tuple[int, ...]


def make_folds(assigned: Sequence[int]) -> list[Fold]:
    """RETURNS (list[Fold]): The folds of documents that are assigned to them (see `assign_folds`)."""
    return [
        Fold(
            fold + 1,
            tuple(i for i, own in enumerate(assigned) if own == fold),
            tuple(i for i, own in enumerate(assigned) if own != fold),
        )
        for fold in range(max(assigned) + 1)
    ]


class FoldStore:
    """The folder of an audit.

    output (Path): The folder.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.identity = output / IDENTITY
        self.folds = output / "folds"

    def open(self, fingerprint: Fingerprint, *, fresh: bool) -> None:
        """Begin an audit, or go on with it.

        fingerprint (Fingerprint): What makes it the same audit.
        fresh (bool): Whether to begin anew.
        RAISES: AuditError where the folder holds the audit of something else, or what no audit has written.
        """
        found = self._read_identity(fingerprint)
        if found is not None and not fresh:
            different = differences(found, fingerprint)
            if different:
                raise AuditError(
                    f"{self.output} holds the audit of something else:\n  " + "\n  ".join(different) + "\nTo finish "
                    "that, put it back; to start over in its place, add --fresh; to keep it, name another folder."
                )
            return
        if self.folds.exists():
            if found is None:
                raise AuditError(f"{self.folds} is there already, and no audit has made it: name another folder")
            shutil.rmtree(self.folds)
        write_atomically(self.identity, srsly.json_dumps(fingerprint, indent=2).encode("utf8") + b"\n")

    def _read_identity(self, like: Fingerprint) -> Fingerprint | None:
        """RETURNS (Fingerprint | None): Of the audit that the folder holds. RAISES: AuditError where it is no audit."""
        if not self.identity.exists():
            return None
        with suppress(ValueError):
            found = srsly.read_json(self.identity)
            if isinstance(found, dict) and all(isinstance(found.get(kind), dict) for kind in like):
                return found
        raise AuditError(f"{self.identity} is there already, and no audit has written it: name another folder")

    def run_folder(self, fold: Fold) -> Path:
        """RETURNS (Path): Where a fold is trained."""
        return self.folds / f"fold-{fold.number}"

    def is_done(self, fold: Fold) -> bool:
        """RETURNS (bool): Whether a fold's documents have been judged."""
        return self._path(fold).exists()

    def is_trained(self, fold: Fold) -> bool:
        """RETURNS (bool): Whether a fold's training has ended."""
        return (self.run_folder(fold) / TRAINED).exists()

    def mark_trained(self, fold: Fold) -> None:
        """Remember that a fold's training has ended."""
        write_atomically(self.run_folder(fold) / TRAINED, b"")

    def clear(self, fold: Fold) -> None:
        """Remove a fold's training: what is kept of it is what its model says."""
        shutil.rmtree(self.run_folder(fold), ignore_errors=True)

    def write(self, fold: Fold, judged: Sequence[SpanPosteriors]) -> None:
        """Write what a fold's model says of its documents, in one step. judged: In their order."""
        lines = [srsly.json_dumps(_to_json(i, spans)) for i, spans in zip(fold.held_out, judged, strict=True)]
        write_atomically(self._path(fold), "".join(f"{line}\n" for line in lines).encode("utf8"))

    def read(self, folds: Sequence[Fold]) -> list[SpanPosteriors]:
        """RETURNS (list[SpanPosteriors]): What was said of all documents of folds, in the corpus's order."""
        found = dict(each for fold in folds for each in self._read(fold))
        return [found[i] for i in sorted(found)]

    def _read(self, fold: Fold) -> Iterator[tuple[int, SpanPosteriors]]:
        for line in srsly.read_jsonl(self._path(fold)):
            posterior = {Entity(*span): value for *span, value in line["posterior"]}
            gold, unjudged = (tuple(Entity(*span) for span in line[name]) for name in ("gold", "unjudged"))
            yield line["document"], SpanPosteriors(gold, posterior, unjudged)

    def _path(self, fold: Fold) -> Path:
        return self.run_folder(fold).with_suffix(".jsonl")


def _to_json(document: int, spans: SpanPosteriors) -> dict[str, Any]:
    posterior = [[*entity, value] for entity, value in sorted(spans.posterior.items())]
    return {"document": document, "gold": spans.gold, "unjudged": spans.unjudged, "posterior": posterior}


def identify_model(model: str, corpus: Path, component: str | None, code: Path | None, use_gpu: int) -> Fingerprint:
    """Describe an audit without folds.

    model (str): Folder or package name of the pipeline that judges.
    corpus (Path): The documents.
    component (str | None): Its `bert_ner`, where it has several.
    code (Path | None): Python file that is imported before.
    use_gpu (int): GPU, or -1 for the CPU.
    RETURNS (Fingerprint): For JSON, of the form of a training run's.
    """
    read = {"--model": pipeline_folder(model), "documents": corpus, "--code": code}
    contents = {f"{path} ({key})": content_sha256(path) for key, path in read.items() if path is not None}
    return {
        "setting": {"--model": model, "--component": component},
        "content of": contents,
        "device": {"kind": "cpu" if use_gpu < 0 else "gpu"},
        "version of": versions(),
    }


def describe_cost(docs: Sequence[Doc], folds: Sequence[Fold], todo: int) -> str:
    """Say beforehand what an audit costs.

    docs (Sequence[Doc]): The corpus.
    folds (Sequence[Fold]): Its folds.
    todo (int): How many of them are not done yet.
    RETURNS (str): A sentence.
    """
    words = [sum(len(docs[i]) for i in fold.training) for fold in folds]
    share = sum(words) / len(folds) / max(1, sum(map(len, docs)))
    done = f" ({len(folds) - todo} of {len(folds)} are done)" if todo < len(folds) else ""
    return (
        f"{todo} trainings of about {sum(words) / len(folds):,.0f} words each{done}: together about "
        f"{todo * share:.1f} times as long as one training on all of the corpus"
    )
