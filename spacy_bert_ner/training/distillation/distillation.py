"""What `distill` adds to a training run."""

import gc
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from spacy.language import Language
from spacy.training import Example
from spacy.util import resolve_dot_names
from thinc.api import Config
from tqdm import tqdm
from wasabi import msg

from spacy_bert_ner.decoding import Lattice
from spacy_bert_ner.ner.teaching import Distilling, Match, check_distilling
from spacy_bert_ner.storage.locking import locked
from spacy_bert_ner.storage.provenance import KEY, content_sha256
from spacy_bert_ner.storage.sources import pipeline_folder
from spacy_bert_ner.training.earlier_output import require_elsewhere
from spacy_bert_ner.training.fingerprint import Fingerprint, files_read, take_fingerprint
from spacy_bert_ner.training.run_place import RunPlace
from spacy_bert_ner.training.training_error import RunError

from .targets import Targets, TargetState, find_targets, make_targets
from .taught_corpus import TaughtCorpus, all_documents
from .teachers import Teachers, load_teacher, only_recognizer, require_pipeline
from .texts import Texts

FOLDER = "targets"


@dataclass(frozen=True)
class Distillation:
    """What a student learns from, beside its config.

    teachers (tuple[str, ...]): Folders or packages of trained pipelines.
    texts (Texts): Texts without annotation.
    weight, temperature, match: See ner.teaching.Distilling.
    targets (Path | None): Folder of the targets, which several students may share; by default one in the run's output.
    RAISES: ValueError for a setting out of range; RunError where there is no teacher, or one is not there.
    """

    teachers: tuple[str, ...]
    texts: Texts = Texts()  # noqa: RUF009
    weight: float = 0.7
    temperature: float = 2.0
    match: Match = "sequences"
    targets: Path | None = None

    def __post_init__(self) -> None:
        check_distilling("distillation", self.weight, self.temperature, self.match)
        if not self.teachers:
            raise RunError("No teacher is named, expected at least one: --teacher MODEL")
        for name in self.teachers:
            require_pipeline("--teacher", name)

    def require_elsewhere(self, output: Path) -> None:
        """Refuse what a run would replace: its teachers, and its own targets; and targets inside a teacher.

        output (Path): The run's folder.
        RAISES: RunError.
        """
        for name in self.teachers:
            require_elsewhere(output, "--teacher", name)
        if self.targets is None:
            return
        require_elsewhere(output, "--targets", str(self.targets))
        for name in self.teachers:
            teacher = pipeline_folder(name)
            if teacher is not None and self.targets.resolve().is_relative_to(teacher.resolve()):
                raise RunError(
                    f"--targets {self.targets}: it lies in the teacher {name}, which stays as it is: name another "
                    "folder with --targets"
                )

    def targets_folder(self, output: Path) -> Path:
        """RETURNS (Path): Where the targets are. output (Path): The run's folder."""
        return self.targets or output / FOLDER

    def tell_progress(self, output: Path) -> str | None:
        """RETURNS (str | None): What is there of unfinished targets, as a sentence. output (Path): The run's folder."""
        folder = self.targets_folder(output)
        try:
            state = TargetState.read(folder)
        except RunError:
            # Damaged ones are told where they are read.
            return None
        if state is None or state.complete:
            return None
        return f"Of the targets in {folder} {state.documents} documents are done: the same command goes on from there."

    def extend(self, fingerprint: Fingerprint) -> Fingerprint:
        """RETURNS (Fingerprint): A run's identity, with this. fingerprint (Fingerprint): Without."""
        named = {"--teacher": list(self.teachers), "--texts": list(self.texts.names), "--text-field": self.texts.field}
        own = {"--weight": self.weight, "--temperature": self.temperature, "--match": self.match}
        return fingerprint | {
            "setting": fingerprint["setting"] | own | named,
            "content of": fingerprint["content of"] | self._contents(),
        }

    def identify_targets(self, config: Config, place: RunPlace) -> Fingerprint:
        """Describe what the targets depend on: teachers and texts, the corpus, and how it is tokenized.

        By content: names and places of files may change.

        config (Config): Training config, interpolated.
        place (RunPlace): The run.
        RETURNS (Fingerprint): For JSON.
        """
        root, *rest = config["training"]["train_corpus"].split(".")
        sections = {
            "nlp": {key: config["nlp"].get(key) for key in ("lang", "tokenizer")},
            root: {rest[0]: config[root][rest[0]]} if rest else config[root],
            "initialize": {key: config.get("initialize", {}).get(key) for key in ("before_init", "tokenizer")},
        }
        found = take_fingerprint(Config(sections), place.code, place.use_gpu)
        read = files_read(Config(sections), place.code)
        contents = {key: found["content of"][f"{path} ({key})"] for key, path in read.items()}
        for option, each in (("--teacher", self._teachers_read), ("--texts", self._texts_read)):
            contents |= {f"{option}, the {n}.": content_sha256(path) for n, path in enumerate(each.values(), 1)}
        settings = {key: value for key, value in found["setting"].items() if key not in read}
        # By which a file is read: the names are not there.
        kinds = [source.kind for source in self.texts.found.sources]
        settings |= {"--text-field": self.texts.field, "kinds of --texts": kinds}
        return found | {"setting": settings, "content of": contents}

    @property
    def _teachers_read(self) -> dict[str, Path]:
        folders = {name: pipeline_folder(name) for name in self.teachers}
        return {f"{name} (--teacher)": folder for name, folder in folders.items() if folder is not None}

    @property
    def _texts_read(self) -> dict[str, Path]:
        return {f"{source.name} (--texts)": source.path for source in self.texts.found.sources}

    def _contents(self) -> dict[str, str]:
        return {name: content_sha256(path) for name, path in (self._teachers_read | self._texts_read).items()}

    def prepare(self, nlp: Language, place: RunPlace) -> TaughtCorpus:
        """Make the targets, where they are not there yet, and let a pipeline's `bert_ner` learn from them.

        nlp (Language): The initialized pipeline, with its whole config.
        place (RunPlace): The run.
        RETURNS (TaughtCorpus): What the student is trained on.
        RAISES: RunError where teacher and student do not fit, or the corpus has no end.
        """
        config = nlp.config.interpolate()
        training = config["training"]
        pipe = only_recognizer(nlp, "The student", training["frozen_components"])
        if training["max_epochs"] == -1:
            raise RunError("The corpus is streamed (max_epochs = -1), and would want targets without end: set it to 0")
        (corpus,) = resolve_dot_names(config, [training["train_corpus"]])
        annotated: list[Example] = list(corpus(nlp))
        folder = self.targets_folder(place.output)
        if place.group.is_first:
            self._require_targets(nlp, annotated, folder, place, pipe.lattice)
            place.group.share(True)
        else:
            # As long as the first process makes them, after each block.
            while not place.group.share(False):
                pass
        targets = Targets(folder)
        require_fitting(targets.lattice, pipe.lattice)
        pipe.teaching = Distilling(targets.look_up, self.weight, self.temperature, self.match)
        own = {"weight": self.weight, "temperature": self.temperature, "match": self.match}
        nlp.meta.setdefault(KEY, {})["distillation"] = own | {"content_sha256": self._contents()}
        return TaughtCorpus(annotated, self.texts, targets)

    def _require_targets(
        self, nlp: Language, annotated: list[Example], folder: Path, place: RunPlace, student: Lattice
    ) -> None:
        """Make what is missing of the targets. RAISES: RunError where another process does so at this time."""
        identity = self.identify_targets(nlp.config.interpolate(), place)
        replace = place.fresh or self.targets is None
        state = find_targets(folder, identity, replace=replace)
        if state is not None and state.complete:
            msg.info(f"The targets of {state.documents} documents are in {folder}")
            return
        if self.texts.found.ignored:
            msg.warn(f"Among --texts, files of other kinds: {', '.join(self.texts.found.ignored)}")
        teachers = Teachers([load_teacher(name) for name in self.teachers])
        require_fitting(teachers.lattice, student)
        total = sum(len(example.predicted) for example in annotated) + self.texts.count_words(nlp.meta["lang"])
        with locked(folder, RunError):
            # Again, as another process may have made some in between.
            state = find_targets(folder, identity, replace=replace)
            if state is None:
                state = TargetState(identity, teachers.lattice.scheme.name, list(teachers.lattice.labels))
            elif state.rows:
                msg.info(f"Going on with the targets in {folder}, of which {state.documents} documents are done")
            start, done = monotonic(), state.rows
            with progress_bar(total, done) as bar:

                def after_block(rows: int) -> None:
                    bar.update(rows)
                    # Shows the other processes that this one is alive.
                    place.group.share(False)

                make_targets(folder, all_documents(annotated, self.texts, nlp), teachers, state, after_block)
        msg.good(f"Made the targets of {state.rows - done} words in {monotonic() - start:.0f} s", folder)
        # What follows needs the memory.
        del teachers
        gc.collect()


def progress_bar(total: int, done: int) -> Any:
    """RETURNS (tqdm): A bar of words, redrawn on a terminal, and else printed every minute."""
    interval = 0.5 if sys.stderr.isatty() else 60.0
    return tqdm(total=total, initial=done, desc="Targets", unit=" words", mininterval=interval, file=sys.stderr)


def require_fitting(teacher: Lattice, student: Lattice) -> None:
    """RAISES: RunError where a student's tags are not all among its teacher's."""
    if teacher.scheme != student.scheme:
        raise RunError(
            f"The teacher's tag scheme is {teacher.scheme.name}, the student's {student.scheme.name}: give the student "
            f'the same, [components.bert_ner] scheme = "{teacher.scheme.name}"'
        )
    unknown = [label for label in student.labels if label not in teacher.labels]
    if unknown:
        raise RunError(
            f"The teacher does not know the student's labels {', '.join(unknown)}, but {', '.join(teacher.labels)}: "
            "expected a teacher of the same labels, or of more"
        )
