"""What `train --keep` adds to a training run: an old model's labels are kept, where the data say nothing of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy.language import Language

from spacy_bert_ner.ner.sourced import corpus_labels
from spacy_bert_ner.storage.provenance import KEY, content_sha256
from spacy_bert_ner.storage.sources import pipeline_folder

from .distillation.taught_corpus import TaughtCorpus
from .distillation.teachers import load_teacher, only_recognizer, require_pipeline
from .earlier_output import require_elsewhere
from .fingerprint import Fingerprint
from .run_place import RunPlace
from .training_error import RunError


@dataclass(frozen=True)
class KeptLabels:
    """An old model, and which labels the new data are annotated with.

    model (str): Folder or package of the old model.
    annotated (tuple[str, ...]): The labels; by default those that occur in the training corpus.
    RAISES: RunError where there is no such model.
    """

    model: str
    annotated: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_pipeline("--keep", self.model)

    def require_elsewhere(self, output: Path) -> None:
        """RAISES: RunError where a run would replace the old model. output (Path): The run's folder."""
        require_elsewhere(output, "--keep", self.model)

    def tell_progress(self, output: Path) -> str | None:
        """RETURNS (None): There is nothing to make before training. output (Path): The run's folder."""
        return None

    def extend(self, fingerprint: Fingerprint) -> Fingerprint:
        """RETURNS (Fingerprint): A run's identity, with this. fingerprint (Fingerprint): Without."""
        return fingerprint | {
            "setting": fingerprint["setting"] | {"--keep": self.model, "--annotated": list(self.annotated)},
            "content of": fingerprint["content of"] | self._contents(),
        }

    def _contents(self) -> dict[str, str]:
        folder = pipeline_folder(self.model)
        return {f"{self.model} (--keep)": content_sha256(folder)} if folder else {}

    def prepare(self, nlp: Language, place: RunPlace) -> TaughtCorpus | None:
        """Let a pipeline's `bert_ner` learn from the old model, and give it the labels of both.

        nlp (Language): The initialized pipeline, with its whole config.
        place (RunPlace): The run.
        RETURNS (TaughtCorpus | None): None: it is trained on the config's own corpus.
        RAISES: RunError where old and new do not fit.
        """
        pipe = only_recognizer(nlp, "The pipeline", nlp.config.interpolate()["training"]["frozen_components"])
        teacher = load_teacher(self.model)
        if teacher.lattice.scheme != pipe.lattice.scheme:
            raise RunError(
                f"--keep {self.model}: its tag scheme is {teacher.lattice.scheme.name}, the config's "
                f"{pipe.lattice.scheme.name}: give the component the same, "
                f'[components.{pipe.name}] scheme = "{teacher.lattice.scheme.name}"'
            )
        occurring = corpus_labels(nlp)
        require_known(self.annotated, occurring, teacher.lattice.labels)
        for label in [*teacher.lattice.labels, *occurring]:
            pipe.add_label(label)
        annotated = list(self.annotated or occurring)
        pipe.keep_labels(annotated, teacher)
        nlp.meta.setdefault(KEY, {})["kept"] = {"annotated": annotated, "content_sha256": self._contents()}
        return None


def require_known(annotated: Sequence[str], occurring: Sequence[str], kept: Sequence[str]) -> None:
    """RAISES: RunError where a label that data are said to be annotated with is none that anybody knows."""
    if unknown := [label for label in annotated if label not in {*occurring, *kept}]:
        raise RunError(
            f"--annotated {' '.join(unknown)}: expected labels of the training corpus "
            f"({', '.join(occurring) or 'none'}) or of the model that is kept ({', '.join(kept)})"
        )
