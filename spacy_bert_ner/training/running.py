"""A training run from its config to its saved pipelines: that of `spacy train`, resumed where it was interrupted."""

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from spacy.cli._util import import_code, setup_gpu, show_validation_error
from spacy.language import Language
from spacy.training.loop import (
    DIR_MODEL_BEST,
    DIR_MODEL_LAST,
    create_before_to_disk_callback,
    update_meta,
)
from thinc.api import fix_random_seed, set_gpu_allocator
from wasabi import msg

from spacy_bert_ner.ner.sourced import initialize
from spacy_bert_ner.storage.files import copy_folder, replacing_folder
from spacy_bert_ner.terminal import divider

from .checkpoints import Checkpoint, Checkpoints
from .completion import load_completed
from .distillation.distillation import Distillation
from .distillation.taught_corpus import TaughtCorpus
from .earlier_output import log_file, make_room, require_elsewhere
from .fingerprint import Fingerprint, differences, files_read, take_fingerprint
from .interruption import Interruption
from .kept_labels import KeptLabels
from .loop import Progress, Run
from .parallel.group import Group
from .parallel.parallel_run import ParallelRun
from .run_place import RunPlace
from .supervision import require_annotation
from .training_curve import write_curve
from .training_error import RunError

# Seconds from one checkpoint to the next, beside those at evaluations.
INTERVAL = 600.0


def train(
    config_path: Path,
    output: Path,
    *,
    use_gpu: int = -1,
    overrides: dict[str, Any] | None = None,
    code: Path | None = None,
    fresh: bool = False,
    interval: float = INTERVAL,
    epochs: float | None = None,
    evaluations: int | None = None,
    teaching: Distillation | KeptLabels | None = None,
    group: Group | None = None,
) -> Path:
    """Train a pipeline; an unfinished run of the same config and data in the same folder is resumed.

    config_path (Path): Training config.
    output (Path): Folder for model-best, model-last, the training curve and, until the run is finished, checkpoints.
    use_gpu (int): GPU, or -1 for the CPU.
    overrides (dict[str, Any] | None): Settings of the config, by dotted path.
    code (Path | None): Python file with registered functions.
    fresh (bool): Whether to start over instead.
    interval (float): Seconds after which a checkpoint is written even where no evaluation is due.
    epochs (float | None): Passes over the training corpus; by default as many as the config's steps are.
    evaluations (int | None): Evaluations in the whole run; by default as the config has it.
    teaching (Distillation | KeptLabels | None): Other models, from which the pipeline's `bert_ner` learns as well.
    group (Group | None): The processes that train together, each of which calls this with the same arguments but for
        its GPU; only the first one writes. By default this one trains alone.
    RETURNS (Path): model-last.
    RAISES: RunError where the folder holds an unfinished run of something else, or one of the other models, cannot be
        written to, or holds only damaged checkpoints; and where a loss is NaN or infinite.
    """
    group = group or Group()
    checkpoints = Checkpoints(output)
    if teaching is not None:
        teaching.require_elsewhere(output)
    if group.is_first:
        checkpoints.prepare()
    import_code(code)
    msg.info(f"Saving to output directory: {output}")
    setup_gpu(use_gpu)
    with show_validation_error(config_path):
        asked = {"epochs": epochs, "evaluations": evaluations, "texts": getattr(teaching, "texts", None)}
        config = load_completed(config_path, overrides or {}, gpu=use_gpu >= 0, **asked)
        interpolated = config.interpolate()
        for setting, path in files_read(interpolated).items():
            require_elsewhere(output, setting, str(path))
        fingerprint = take_fingerprint(interpolated, code, use_gpu)
        if teaching is not None:
            fingerprint = teaching.extend(fingerprint)
    found = find_unfinished(checkpoints, fingerprint) if group.is_first and not fresh else None
    # Only the first process needs access to the folder.
    saved = group.share(found)
    divider("Initializing pipeline")
    with show_validation_error(config_path, hint_fill=False):
        nlp = initialize(config, use_gpu)
    msg.good("Initialized pipeline")
    require_annotation(nlp)
    corpus = teaching.prepare(nlp, RunPlace(output, code, use_gpu, group, fresh)) if teaching is not None else None
    # Not before: an invalid config must not delete an earlier run's output.
    group.wait()
    state = {"fingerprint": fingerprint, "logged": make_room(checkpoints, log_file(config), saved, group)}
    divider("Training pipeline")
    run = start_run(nlp, use_gpu, saved, group, corpus)
    run_steps(run, CheckpointWriter(run, checkpoints, state, interval), resumed=saved is not None)
    if group.is_first:
        checkpoints.clear()
    msg.good("Saved pipeline to output directory", output / DIR_MODEL_LAST)
    return output / DIR_MODEL_LAST


def find_unfinished(checkpoints: Checkpoints, fingerprint: Fingerprint) -> Checkpoint | None:
    """Find the checkpoint to resume from.

    checkpoints (Checkpoints): Those in the output folder.
    fingerprint (Fingerprint): Of the requested run.
    RETURNS (Checkpoint | None): A checkpoint of that run; None where there is none at all.
    RAISES: RunError where there is one of another run.
    """
    saved = checkpoints.newest()
    if saved is None:
        return None
    different = differences(saved.state["fingerprint"], fingerprint)
    if different:
        raise RunError(
            f"{checkpoints.output} holds an unfinished run, stopped after step {saved.step}, of something else:\n  "
            + "\n  ".join(different)
            + "\nTo finish it, put that back; to start over in its place, add --fresh (or delete "
            f"{checkpoints.folder}); to keep it, name another folder with --output."
        )
    progress = Progress(**saved.state["progress"])
    # A step that gave the best one is followed by saving it, again after an interruption.
    if progress.evaluations and not progress.is_best and not (checkpoints.output / DIR_MODEL_BEST).exists():
        raise RunError(
            f"{checkpoints.output} holds an unfinished run, but its {DIR_MODEL_BEST} is gone: put it back, or start "
            "over with --fresh"
        )
    msg.info(
        f"Resuming at step {saved.step + 1}: {checkpoints.output} holds an unfinished run of the same config and data"
    )
    return saved


def start_run(
    nlp: Language, use_gpu: int, saved: Checkpoint | None, group: Group, corpus: TaughtCorpus | None = None
) -> Run:
    """Set up a run as `spacy.training.loop.train` does. RETURNS (Run): The run, at its start or at its checkpoint."""
    training = nlp.config.interpolate()["training"]
    seed = training["seed"]
    if seed is None and group.size > 1:
        # Several processes must draw the same numbers, even where these differ from run to run.
        seed = group.share(secrets.randbelow(2**32))
    if seed is not None:
        fix_random_seed(seed)
    if use_gpu >= 0 and training["gpu_allocator"]:
        set_gpu_allocator(training["gpu_allocator"])
    run = ParallelRun(nlp, group, corpus) if group.size > 1 else Run(nlp, group, corpus)
    if saved is not None:
        run.load(saved)
    return run


def run_steps(run: Run, writer: "CheckpointWriter", resumed: bool) -> None:
    """Run the steps, log them, and save the pipeline at each evaluation and at the end.

    run (Run): The run.
    writer (CheckpointWriter): Writes checkpoints and pipelines.
    resumed (bool): Whether it was interrupted: all earlier evaluations are then logged again.
    """
    nlp, optimizer = run.nlp, run.optimizer
    msg.info(f"Pipeline: {nlp.pipe_names}")
    if run.frozen:
        msg.info(f"Frozen components: {run.frozen}")
    if annotating := run.settings["annotating_components"]:
        msg.info(f"Set annotations on update for: {annotating}")
    msg.info(f"{'Learn rate' if resumed else 'Initial learn rate'}: {optimizer.learn_rate}")
    log_step, finalize_logger = open_logger(run)
    if resumed:
        repeat_evaluations(run, log_step, writer.last)
    try:
        with writer.interruption.awaited():
            for is_best in run.steps(writer.after_step):
                info = run.progress.info()
                if is_best is not None:
                    with nlp.select_pipes(disable=run.frozen):
                        update_meta(run.settings, nlp, info)
                    writer.save_pipeline(is_best)
                    info["output_path"] = str(writer.last)
                log_step(info if is_best is not None else None)
                if writer.is_interrupted:
                    writer.save_pipeline(False)
                    raise KeyboardInterrupt
    except (RunError, KeyboardInterrupt):
        # Saving could fail and hide this error, or would save weights with NaN, or of an unfinished step.
        finalize_logger()
        raise
    except BaseException as error:
        msg.warn(f"Saving the pipeline as it is now, because of a {type(error).__name__}")
        finalize_logger()
        writer.save_pipeline(False)
        raise
    finalize_logger()
    writer.save_pipeline(False)


def open_logger(run: Run) -> tuple[Callable[[dict[str, Any] | None], None], Callable[[], None]]:
    """RETURNS (tuple[Callable, Callable]): The logger's functions for a step and for the end; only one process logs."""
    if not run.group.is_first:
        return lambda info: None, lambda: None
    with run.nlp.select_pipes(disable=run.frozen):
        log_step, finalize = run.settings["logger"](run.nlp, sys.stdout, sys.stderr)
    return log_step, finalize


def repeat_evaluations(run: Run, log_step: Callable[[dict[str, Any] | None], None], last: Path) -> None:
    """Log what happened before an interruption again, and restore the pipeline's meta.

    The last step is left out: the run itself starts by repeating what follows it.
    """
    evaluations = {evaluation["step"]: evaluation for evaluation in run.progress.evaluations}
    results = run.progress.results
    for step in range(run.progress.step):
        info = evaluations.get(step)
        if info is not None:
            info = info | {"checkpoints": [result for result in results if result[1] <= step], "output_path": str(last)}
            with run.nlp.select_pipes(disable=run.frozen):
                update_meta(run.settings, run.nlp, info)
        log_step(info)


class CheckpointWriter:
    """Writes a run's checkpoints and pipelines, also when the user interrupts it; only the first process writes.

    A checkpoint is written before the pipeline is saved and the evaluation logged: whatever is interrupted then is
    repeated after a resumption.

    run (Run): The run.
    checkpoints (Checkpoints): Writes the checkpoints.
    state (dict[str, Any]): The state of the whole run, for each checkpoint.
    interval (float): Seconds from one checkpoint to the next.
    """

    def __init__(self, run: Run, checkpoints: Checkpoints, state: dict[str, Any], interval: float) -> None:
        self.run = run
        self.checkpoints = checkpoints
        self.state = state
        self.interval = interval
        self.best, self.last = checkpoints.output / DIR_MODEL_BEST, checkpoints.output / DIR_MODEL_LAST
        self.interruption = Interruption()
        self.is_interrupted = False
        self._written = monotonic()
        self._scores = [name for name, weight in run.settings["score_weights"].items() if weight is not None]
        self._before_to_disk = create_before_to_disk_callback(run.settings["before_to_disk"])

    def after_step(self) -> None:
        """Write a checkpoint where one is due, or where the user has asked to stop."""
        progress = self.run.progress
        # Read once: a later request, while the step is logged, stops the run after the next step.
        is_due = monotonic() - self._written >= self.interval
        self.is_interrupted, is_due = self.run.group.any(self.interruption.requested, is_due)
        if progress.evaluated or self.is_interrupted or is_due:
            state, tensors = self.run.save()
            if self.run.group.is_first:
                self.checkpoints.write(progress.step, self.state | state, tensors)
            self._written = monotonic()

    def save_pipeline(self, is_best: bool) -> None:
        """Save the pipeline as model-last, and as model-best where its score is the best; and the curve beside them."""
        if not self.run.group.is_first:
            return
        with self.checkpoints.explained():
            write_curve(self.run.progress.evaluations, self._scores, self.checkpoints.output)
            with replacing_folder(self.last) as folder, self.run.nlp.use_params(self.run.optimizer.averages):
                self._before_to_disk(self.run.nlp).to_disk(folder)
            if is_best:
                with replacing_folder(self.best) as folder:
                    copy_folder(self.last, folder)
