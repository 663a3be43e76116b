"""spaCy's training loop, which can start at any step.

The local variables of `spacy.training.loop.train_while_improving` are fields of `Progress` here, so that they can be
saved and restored; the operations are the same, in the same order.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import takewhile
from timeit import default_timer as timer
from typing import Any

from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.loop import create_evaluation_callback, create_train_batches, subdivide_batch
from spacy.util import registry, resolve_dot_names
from thinc.api import constant
from wasabi import msg

from .checkpoints import Checkpoint
from .distillation.taught_corpus import TaughtCorpus
from .finite import ADVICE, check_losses, first_non_finite, list_documents
from .optimizer_state import load_optimizer, optimizer_state, optimizer_tensors
from .parallel.group import Group
from .parameters import Parameters, Tensors
from .randomness import all_states, put_states, reseed_cupy
from .stream import Stream
from .training_error import NonFiniteError

WEIGHTS, MOMENTS = "weights/", "optimizer/"


@dataclass
class Progress:
    """The progress of a run.

    step, epoch (int): The last finished step, -1 before the first, and its epoch.
    words (int): Words seen.
    seconds (float): Time taken, interruptions not counted.
    losses (dict[str, float]): By component, since the last evaluation.
    evaluations (list[dict[str, Any]]): What the logger got at each evaluation.
    """

    step: int = -1
    epoch: int = 0
    words: int = 0
    seconds: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    evaluations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def results(self) -> list[tuple[float, int]]:
        """RETURNS (list[tuple[float, int]]): Score and step of each evaluation."""
        return [(evaluation["score"], evaluation["step"]) for evaluation in self.evaluations]

    @property
    def evaluated(self) -> bool:
        """RETURNS (bool): Whether the last step was followed by an evaluation."""
        return bool(self.evaluations) and self.evaluations[-1]["step"] == self.step

    @property
    def is_best(self) -> bool | None:
        """RETURNS (bool | None): Whether the last step's score is the best so far; None where it has none."""
        return self.evaluations[-1]["score"] == max(self.results)[0] if self.evaluated else None

    def info(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): What spaCy's loggers get after the last step."""
        last = self.evaluations[-1] if self.evaluated else {}
        return {
            "epoch": self.epoch,
            "step": self.step,
            "score": last.get("score"),
            "other_scores": last.get("other_scores"),
            "losses": self.losses,
            "checkpoints": self.results,
            "seconds": int(self.seconds),
            "words": self.words,
        }


class Run:
    """A training run: pipeline, optimizer, stream of batches, and progress.

    nlp (Language): The initialized pipeline, with the full config.
    group (Group): The processes that train together; only this one (see parallel.parallel_run for several).
    corpus (TaughtCorpus | None): What it is trained on; by default the config's training corpus.
    """

    def __init__(self, nlp: Language, group: Group, corpus: TaughtCorpus | None = None) -> None:
        config = nlp.config.interpolate()
        self.nlp = nlp
        self.group = group
        self.settings: dict[str, Any] = registry.resolve(config["training"], schema=ConfigSchemaTraining)
        names = [self.settings["train_corpus"], self.settings["dev_corpus"]]
        self.train_corpus, self.dev_corpus = resolve_dot_names(config, names)
        epochs = self.settings["max_epochs"]
        self.is_stream = epochs == -1
        if corpus is not None:
            self.train_corpus, self.is_stream = corpus, corpus.is_stream
        self.frozen: list[str] = self.settings["frozen_components"]
        self.optimizer = self.settings["optimizer"]
        batches = create_train_batches(
            nlp, self.train_corpus, self.settings["batcher"], -1 if self.is_stream else epochs
        )
        # spaCy's own streams have no number of epochs.
        self.stream = Stream(takewhile(lambda drawn: epochs < 1 or drawn[0] < epochs, batches))
        self.evaluate = create_evaluation_callback(nlp, self.dev_corpus, self.settings["score_weights"])
        dropout = self.settings["dropout"]
        self.dropouts: Iterator[float] = iter(constant(dropout)) if isinstance(dropout, float) else dropout
        self.parameters = Parameters(nlp, self.frozen)
        self.progress = Progress()
        self._batch: list[Example] = []
        self._batch_before: list[Example] = []
        self._began = timer()

    def steps(self, after_step: Callable[[], None]) -> Iterator[bool | None]:
        """Run the steps after the last finished one; after a resumption, what follows that one is repeated first.

        after_step (Callable[[], None]): Called after each step.
        YIELDS (bool | None): Whether the score is the best so far; None where there was no evaluation.
        """
        if self.progress.step >= 0:
            yield self.progress.is_best
        while not self._is_over():
            drawn = self.stream.draw()
            if drawn is None:
                return
            self._step(*drawn)
            after_step()
            yield self.progress.is_best

    def _is_over(self) -> bool:
        """Check whether the run is finished."""
        step, settings = self.progress.step, self.settings
        if step < 0:
            return False
        # Of equal scores the earliest counts.
        best = -max((score, -at) for score, at in self.progress.results)[1]
        patience, most = settings["patience"], settings["max_steps"]
        return bool((patience and step - best >= patience) or (most and step >= most))

    def _step(self, epoch: int, batch: list[Example]) -> None:
        settings, progress = self.settings, self.progress
        if progress.evaluated:
            progress.losses = {}
        step = progress.step + 1
        if settings["before_update"]:
            settings["before_update"](self.nlp, {"step": step, "epoch": epoch})
        self._batch_before, self._batch = self._batch, batch
        self._update(step, batch)
        progress.step, progress.epoch = step, epoch
        scores = None
        if step % settings["eval_frequency"] == 0:
            self._check_weights()
            scores = self._score()
        progress.words += sum(len(example) for example in batch)
        progress.seconds, self._began = progress.seconds + timer() - self._began, timer()
        if scores is not None:
            # Appended when the step is complete, as it is what makes it an evaluated one.
            known = {"epoch": epoch, "step": step, "score": scores[0], "other_scores": scores[1]}
            rest = {"losses": progress.losses, "seconds": int(progress.seconds), "words": progress.words}
            progress.evaluations.append(known | rest)

    def _update(self, step: int, batch: list[Example]) -> None:
        dropout = next(self.dropouts)
        for part in subdivide_batch(batch, self.settings["accumulate_gradient"]):
            self._learn(part, dropout, self.progress.losses)
            self._check(step)
        for name, component in self.nlp.pipeline:
            if (
                name not in self.frozen
                and getattr(component, "is_trainable", False)
                and component.model not in (True, False, None)  # type: ignore[attr-defined]
            ):
                component.finish_update(self.optimizer)  # type: ignore[attr-defined]
        self.optimizer.step_schedules()

    def _learn(self, part: list[Example], dropout: float, losses: dict[str, float]) -> None:
        """Add the gradients of a part of the batch, and its losses."""
        self.nlp.update(
            part,
            drop=dropout,
            losses=losses,
            sgd=False,  # type: ignore[arg-type]
            exclude=self.frozen,
            annotates=self.settings["annotating_components"],
        )

    def _check(self, step: int) -> None:
        """RAISES: NonFiniteError where a loss is not finite; it names the documents that may have caused it."""
        try:
            check_losses(self.progress.losses, step)
        except NonFiniteError as error:
            raise self._blame(str(error), first_non_finite(self.parameters.tensors())) from None

    def _check_weights(self) -> None:
        """RAISES: NonFiniteError where a weight is not finite after the last step."""
        name = first_non_finite(self.parameters.tensors())
        if name is not None:
            raise self._blame(f"After step {self.progress.step} the weights {name} hold NaN or infinity", None)

    def _blame(self, found: str, weights: str | None) -> NonFiniteError:
        batch = self._batch
        if weights is not None and self._batch_before:
            batch = self._batch_before
            found += f", as the weights {weights} have held NaN or infinity since step {self.progress.step}"
        # A streamed corpus may have no end, or another order each time.
        corpus = () if self.is_stream else self.train_corpus(self.nlp)
        return NonFiniteError(
            f"{found}. Training stops. The documents of that step's batch:\n{list_documents(batch, corpus)}\n{ADVICE}"
        )

    def _score(self) -> tuple[float, dict[str, Any]]:
        if self.optimizer.averages:
            with self.nlp.use_params(self.optimizer.averages):
                return self.evaluate()
        return self.evaluate()

    @cached_property
    def _names(self) -> dict[tuple[int, str], str]:
        return self.parameters.names()

    def save(self) -> tuple[dict[str, Any], Tensors]:
        """Describe the run after a step.

        RETURNS (tuple[dict[str, Any], Tensors]): Plain values and NumPy's numbers; tensors by name, not copied.
        RAISES: NonFiniteError where weights are not finite.
        """
        if not self.progress.evaluated:
            self._check_weights()
        weights = self.parameters.tensors()
        moments = optimizer_tensors(self.optimizer, self._names)
        tensors = {WEIGHTS + name: tensor for name, tensor in weights.items()}
        tensors |= {MOMENTS + name: tensor for name, tensor in moments.items()}
        state = {
            "progress": asdict(self.progress),
            "random": all_states(),
            "stream": self.stream.state(),
            "optimizer": optimizer_state(self.optimizer, self._names),
            "parameters": self.parameters.state(),
            # The strings of an evaluation's documents are saved with the pipeline.
            "strings": list(self.nlp.vocab.strings),
        }
        return state, tensors

    def load(self, saved: Checkpoint) -> None:
        """Continue a run from a checkpoint.

        saved (Checkpoint): What `save` gave, in this or another process.
        RAISES: RunError where it does not fit the run.
        """
        state, steps = saved.state, saved.step + 1
        self.progress = Progress(**state["progress"])
        for string in state["strings"]:
            self.nlp.vocab.strings.add(string)
        self.parameters.load_tensors(select(saved.tensors, WEIGHTS))
        self.parameters.load_state(state["parameters"])
        moments = select(saved.tensors, MOMENTS)
        load_optimizer(self.optimizer, moments, state["optimizer"], self._names, steps)
        for _ in range(steps):
            next(self.dropouts)
        if not self.stream.fast_forward(state["stream"]):
            msg.warn(
                "The corpus reader gives other documents than it gave before the interruption, though its files are "
                "the same: the run goes on, but will not end with the weights that it would have ended with"
            )
        put_states(state["random"])
        reseed_cupy(steps)
        self._began = timer()


def select(tensors: Tensors, prefix: str) -> Tensors:
    """RETURNS (Tensors): Those whose name has the prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
