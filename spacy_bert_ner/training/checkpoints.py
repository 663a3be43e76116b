"""Checkpoints on the disk: written whole or not at all, the newest two kept.

DIR/checkpoints/step-0000120/state.json           the run's progress, random states, fingerprint
                             tensors.safetensors  weights and optimizer state
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from wasabi import msg

from spacy_bert_ner.storage.files import replacing_folder

from .parameters import Tensors
from .training_error import RunError

CHECKPOINTS = "checkpoints"
STATE, TENSORS = "state.json", "tensors.safetensors"
KEPT = 2
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)

_OS_ERROR = re.compile(r"os error (\d+)")


class DamagedCheckpointError(Exception):
    """A checkpoint that is incomplete: says what is missing or damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory.

    step (int): The last finished step.
    state (dict[str, Any]): Plain values.
    tensors (Tensors): Tensors by name, on the CPU.
    """

    step: int
    state: dict[str, Any]
    tensors: Tensors


class Checkpoints:
    """The checkpoints of the run in an output folder.

    output (Path): Where the run writes.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / CHECKPOINTS

    def steps(self) -> list[int]:
        """RETURNS (list[int]): Steps of the checkpoints, the newest first; damaged ones included."""
        found = (re.fullmatch(r"step-(\d+)", path.name) for path in self.folder.glob("step-*"))
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def path(self, step: int) -> Path:
        """RETURNS (Path): The folder of a step's checkpoint."""
        return self.folder / f"step-{step:07d}"

    def prepare(self) -> None:
        """Create the folder. RAISES: RunError where it cannot be written to."""
        with self.explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            # Left by a killed process.
            for left_behind in self.folder.glob(".step-*"):
                shutil.rmtree(left_behind)
            trial = self.folder / ".trial"
            trial.write_bytes(b"\0")
            trial.unlink()

    def write(self, step: int, state: dict[str, Any], tensors: Tensors) -> None:
        """Write a checkpoint, then remove older ones than the newest two.

        step (int): The last finished step.
        state (dict[str, Any]): Plain values and NumPy's numbers.
        tensors (Tensors): Tensors by name.
        RAISES: RunError where it cannot be written; earlier checkpoints are then still there.
        """
        with self.explained(), replacing_folder(self.path(step)) as folder:
            save_tensors(tensors, folder / TENSORS)
            (folder / STATE).write_text(json.dumps(state, default=encode_number), encoding="utf8")
        for old in self.steps()[KEPT:]:
            shutil.rmtree(self.path(old), ignore_errors=True)

    def newest(self) -> Checkpoint | None:
        """Read the newest intact checkpoint, with a warning for each newer one that is damaged.

        RETURNS (Checkpoint | None): The checkpoint; None where there is none.
        RAISES: RunError where all are damaged, or cannot be read.
        """
        steps = self.steps()
        for step in steps:
            try:
                return self.read(step)
            except DamagedCheckpointError as error:
                msg.warn(f"The checkpoint {self.path(step)} is damaged: {error}", "Going back to the one before it.")
        if steps:
            raise RunError(
                f"No checkpoint in {self.folder} is whole ({len(steps)} found): add --fresh to start over, or restore "
                "the folder from a copy"
            )
        return None

    def read(self, step: int) -> Checkpoint:
        """Read one checkpoint. RAISES: DamagedCheckpointError where it is damaged, RunError where unreadable."""
        folder = self.path(step)
        try:
            state = json.loads((folder / STATE).read_text(encoding="utf8"), object_hook=decode_number)
            return Checkpoint(step, state, load_file(folder / TENSORS))
        except FileNotFoundError as error:
            raise DamagedCheckpointError(f"{Path(str(error.filename or folder / TENSORS)).name} is missing") from error
        except OSError as error:
            raise RunError(f"{folder} cannot be read: {error.strerror}") from error
        except SafetensorError as error:
            raise DamagedCheckpointError(f"{TENSORS} is cut short or garbled ({error})") from error
        except ValueError as error:
            raise DamagedCheckpointError(f"{STATE} is cut short or garbled ({error})") from error

    def clear(self) -> None:
        """Remove all checkpoints: the run is finished, or another one starts."""
        if self.folder.exists():
            with self.explained():
                shutil.rmtree(self.folder)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn an error of writing into one that says what to do. RAISES: RunError."""
        try:
            yield
        except OSError as error:
            raise RunError(self._explain(error)) from error

    def _explain(self, error: OSError) -> str:
        steps = self.steps()
        rest = f"the training goes on from step {steps[0]}" if steps else "the training begins"
        again = f"then run the same command again: {rest}"
        where = error.filename2 or error.filename or self.output
        if error.errno in FULL:
            free = shutil.disk_usage(existing(self.output)).free / 2**20
            return f"The disk is full ({free:,.0f} MB free): {where} could not be written. Make room, {again}"
        if error.errno in FORBIDDEN:
            return (
                f"{where} may not be written ({os.strerror(error.errno)}). Name another folder with --output, or make "
                f"{self.output} writable and {again}"
            )
        return f"{where} could not be written ({error.strerror or error}). Fix that, {again}"


def existing(path: Path) -> Path:
    """RETURNS (Path): A path, or its nearest existing parent."""
    return next(place for place in [path, *path.absolute().parents] if place.exists())


def save_tensors(tensors: Tensors, path: Path) -> None:
    """Write tensors. RAISES: OSError where that fails."""
    apart: Tensors = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        # safetensors refuses tensors that share memory, such as tied weights.
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in places else tensor
        places.add(place)
    try:
        save_file(apart, path)
    except SafetensorError as error:
        found = _OS_ERROR.search(str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error


def encode_number(value: Any) -> Any:
    """Encode a NumPy or CuPy number so that its type comes back: sums go on in the same precision."""
    if hasattr(value, "dtype") and np.ndim(value) == 0:
        return {"dtype": str(value.dtype), "value": value.item()}
    raise TypeError(f"A {type(value).__name__} cannot be kept in a checkpoint: {value!r}")


def decode_number(data: dict[str, Any]) -> Any:
    """Decode what `encode_number` gave."""
    return np.dtype(data["dtype"]).type(data["value"]) if data.keys() == {"dtype", "value"} else data
