"""Would more annotation help? The score by the amount of training data, and what twice as much is expected to give.

The error, 100 less the score in per cent, falls about as a power of the amount (Hestness et al. 2017, "Deep Learning
Scaling is Predictable, Empirically"): a line, where both are logarithms.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import srsly
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus
from spacy.training.corpus import FILE_TYPE, walk_corpus
from spacy.util import load_config
from thinc.api import Config

from spacy_bert_ner.storage.files import write_atomically

from .fingerprint import Fingerprint, differences, take_fingerprint
from .plan import with_defaults
from .training_curve import CURVE
from .training_error import RunError

POINTS = "learning-curve.json"
# Of the documents, by the name of the folder in which their run is.
CURVE_PARTS = {"quarter": 0.25, "half": 0.5, "three-quarters": 0.75, "all": 1.0}
# An error below this is taken for it: nobody's annotation is better.
LEAST_ERROR = 0.1
# A gain below so many points of the score is not worth annotating for.
LEAST_GAIN = 0.5
LEAST_DOCUMENTS = 2
_SEED = 0


@dataclass(frozen=True)
class DataPoint:
    """What some of the training data gives.

    part (str): Its name, of CURVE_PARTS.
    documents, words, entities (int): How much it is.
    step (int): The step of the best evaluation.
    score (float): The best score, in per cent, as [training.score_weights] has it.
    scores (dict[str, float]): Those that it is made of, in per cent.
    """

    part: str
    documents: int
    words: int
    entities: int
    step: int
    score: float
    scores: dict[str, float]


def locate_corpus(config: Config) -> tuple[str, Path]:
    """Find the training corpus's files.

    config (Config): Training config, variables not yet filled in.
    RETURNS (tuple[str, Path]): The setting that names them, by dotted path, and the file or folder.
    RAISES: RunError where the corpus is none of `.spacy` files.
    """
    filled = with_defaults(config)
    name = filled["training"]["train_corpus"]
    section: Any = filled
    for key in name.split("."):
        section = section.get(key, {})
    path = section.get("path")
    if not isinstance(path, str) or filled["training"]["max_epochs"] == -1:
        raise RunError(
            f"[{name}] is streamed, or has no `path`: a part of it cannot be taken. Expected .spacy files, as "
            "spacy.Corpus.v1 reads them"
        )
    return f"{name}.path", Path(path)


def read_documents(path: Path) -> list[Doc]:
    """RETURNS (list[Doc]): The documents of a `.spacy` file, or of a folder with some, but for empty ones."""
    docs = Corpus(path).read_docbin(spacy.blank("xx").vocab, walk_corpus(path, FILE_TYPE))
    # spaCy's corpora pass them over as well.
    return [doc for doc in docs if len(doc)]


def require_parts(docs: Sequence[Doc], path: Path) -> None:
    """RAISES: RunError where all parts would be the same. docs (Sequence[Doc]): All of them, from `path`."""
    if len(docs) < LEAST_DOCUMENTS:
        raise RunError(
            f"{path} holds {len(docs) or 'no'} document with tokens, expected at least {LEAST_DOCUMENTS}, as parts "
            "hold whole ones: annotate more, or convert the texts in smaller documents"
        )


def choose_documents(docs: Sequence[Doc], share: float) -> list[Doc]:
    """Take a share of the documents at random, always the same ones; those of a smaller share are among them.

    Where any document holds entities, one with some is taken: nothing could be trained without.

    docs (Sequence[Doc]): The documents.
    share (float): How many of them, from 0 to 1; at least one is taken.
    RETURNS (list[Doc]): Documents, in their order.
    """
    order = list(range(len(docs)))
    random.Random(_SEED).shuffle(order)
    # Stable: but for the first one, the order stays as it was drawn.
    first = next((i for i in order if docs[i].ents), None)
    order.sort(key=lambda i: i != first)
    return [docs[i] for i in sorted(order[: max(1, round(share * len(docs)))])]


def write_part(docs: Sequence[Doc], path: Path) -> None:
    """Write documents as a corpus, whole, with all that they carry."""
    write_atomically(path, DocBin(docs=docs, store_user_data=True).to_bytes())


def best_point(part: str, docs: Sequence[Doc], run: Path) -> DataPoint:
    """RETURNS (DataPoint): The best evaluation of a finished run on a part's documents."""
    lines = list(srsly.read_jsonl(run / CURVE))
    best = max(lines, key=lambda line: (line["score"], -line["step"]))
    entities = sum(len(doc.ents) for doc in docs)
    words = sum(map(len, docs))
    return DataPoint(part, len(docs), words, entities, best["step"], 100 * best["score"], best["scores"])


def expected_gain(points: Sequence[DataPoint]) -> float:
    """Estimate what twice as much data would give, by the line through all points.

    points (Sequence[DataPoint]): At least two, the last one of all the data.
    RETURNS (float): Points of the score, negative where more data gave less.
    """
    words = np.log([point.words for point in points])
    errors = np.log([max(100 - point.score, LEAST_ERROR) for point in points])
    slope = np.polyfit(words, errors, 1)[0]
    return float(max(100 - points[-1].score, LEAST_ERROR) * (1 - 2**slope))


def foretell(points: Sequence[DataPoint]) -> str:
    """Say what twice as much data would give.

    points (Sequence[DataPoint]): Of all parts.
    RETURNS (str): A sentence; where the scores tell nothing, the reason.
    """
    score = points[-1].score
    if score <= LEAST_ERROR:
        return (
            "Nothing was learnt from all of the data, so that the curve does not tell what more would give: "
            "`debug` says what is wrong with data or config"
        )
    if score >= 100 - LEAST_ERROR:
        return "Nothing is left to gain on this dev set: only a larger or harder one can tell what more would give"
    gain = expected_gain(points)
    if gain < LEAST_GAIN:
        return f"Twice as much annotation of this kind would hardly help: by less than {LEAST_GAIN} points of the score"
    return f"Twice as much annotation would give about {gain:+.1f} points of the score"


class PointStore:
    """The points of a learning curve, each written when its run is finished.

    folder (Path): Where they are.
    RAISES: RunError where something else is there.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / POINTS
        try:
            found = srsly.read_json(self.path) if self.path.exists() else {"points": [], "fingerprints": {}}
            self.points = {point["part"]: DataPoint(**point) for point in found["points"]}
            self._fingerprints: dict[str, Fingerprint] = dict(found["fingerprints"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"{self.path} is no learning curve: name another folder with --output, or replace it with --fresh"
            ) from error

    def is_done(self, part: str, fingerprint: Fingerprint) -> bool:
        """Say whether there is a part's point.

        part (str): Its name.
        fingerprint (Fingerprint): Of the run that would give it.
        RETURNS (bool): Whether it is there.
        RAISES: RunError where it is there of another run.
        """
        if part not in self.points:
            return False
        different = differences(self._fingerprints[part], fingerprint)
        if different:
            raise RunError(
                f"{self.path} holds the curve of something else:\n  "
                + "\n  ".join(different)
                + "\nTo finish that, put "
                "it back; to start over in its place, add --fresh; to keep it, name another folder with --output."
            )
        return True

    def add(self, point: DataPoint, fingerprint: Fingerprint) -> None:
        """Add a point, and write all of them."""
        self.points[point.part] = point
        self._fingerprints[point.part] = fingerprint
        told = {"points": [asdict(each) for each in self.points.values()], "fingerprints": self._fingerprints}
        write_atomically(self.path, srsly.json_dumps(told, indent=2).encode() + b"\n")


def fingerprint_of(
    config: Path, overrides: dict[str, Any], code: Path | None, use_gpu: int, **asked: Any
) -> Fingerprint:
    """RETURNS (Fingerprint): What makes a part's run the same run; asked: epochs and evaluations."""
    found = take_fingerprint(load_config(config, overrides=overrides, interpolate=True), code, use_gpu)
    found["setting"] |= {f"--{name}": value for name, value in asked.items()}
    return found
