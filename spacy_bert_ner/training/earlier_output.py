"""What an earlier run has left in the output folder, and this one writes anew."""

from pathlib import Path

from spacy.training.loop import DIR_MODEL_BEST, DIR_MODEL_LAST, clean_output_dir
from thinc.api import Config

from spacy_bert_ner.storage.sources import pipeline_folder

from .checkpoints import CHECKPOINTS, Checkpoint, Checkpoints
from .parallel.group import Group
from .training_curve import CURVE
from .training_error import RunError


def log_file(config: Config) -> Path | None:
    """RETURNS (Path | None): The file to which spaCy's console logger also writes."""
    output = config.interpolate()["training"].get("logger", {}).get("output_file")
    return Path(output) if output else None


def require_elsewhere(output: Path, option: str, name: str) -> None:
    """Refuse to read what the run would replace or write into: it would be lost, and the run could not be resumed.

    output (Path): The run's folder.
    option (str): What names the file or folder, for the error.
    name (str): A path, or a pipeline's package.
    RAISES: RunError.
    """
    pipeline = pipeline_folder(name)
    place = (pipeline or Path(name)).resolve()
    own = [(output / folder).resolve() for folder in (DIR_MODEL_BEST, DIR_MODEL_LAST, CHECKPOINTS)]
    if any(place.is_relative_to(each) for each in own):
        raise RunError(
            f"{option} {name}: this run writes its own pipelines there, and would delete it: name another folder with "
            "--output"
        )
    if pipeline is not None and output.resolve().is_relative_to(place):
        raise RunError(f"--output {output}: it lies in the pipeline {name} ({option}): name another folder")


def make_room(checkpoints: Checkpoints, log: Path | None, saved: Checkpoint | None, group: Group) -> bool:
    """Remove an earlier run's files that this one writes again. RETURNS (bool): Whether the log starts anew."""
    if not group.is_first:
        return False
    if saved is None:
        clear(checkpoints, log)
    elif log is not None and saved.state["logged"]:
        # Written again from the beginning, from the checkpoint: spaCy's logger does not write to an existing file.
        log.unlink(missing_ok=True)
    return log is not None and not log.exists()


def clear(checkpoints: Checkpoints, log: Path | None) -> None:
    """Remove an earlier run's output, as `spacy train` does, and its log if that is in the output folder."""
    checkpoints.clear()
    checkpoints.prepare()
    clean_output_dir(checkpoints.output)
    (checkpoints.output / CURVE).unlink(missing_ok=True)
    if log is not None and log.absolute().is_relative_to(checkpoints.output.absolute()):
        log.unlink(missing_ok=True)
