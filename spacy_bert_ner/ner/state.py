"""What training and calibration find out about a component, and how that is saved and read back.

bert_ner/cfg                   labels, temperature, offsets, promise; beside them the settings, which a config overrules
         model                 the head, and how the encoder is built
         encoder.safetensors   the encoder's weights
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypeGuard

import srsly
from spacy.pipeline import TrainablePipe
from thinc.api import Model, Optimizer

from spacy_bert_ner.decoding import Lattice
from spacy_bert_ner.storage.models import ANEW, DamagedModelError
from spacy_bert_ner.tags import get_scheme

from .component_settings import ComponentSettings
from .promise import Promise

SETTING_NAMES = frozenset(field.name for field in fields(ComponentSettings))


class CheckedPipe(TrainablePipe):
    """A component whose state is checked when it is loaded, and whose settings are its config's at every load.

    settings (ComponentSettings): What the config decides.
    cfg (dict[str, Any]): What is saved: see `new_state`. Settings are written to it, and never read from it.
    """

    settings: ComponentSettings
    cfg: dict[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): The entity types, in the order of the model's outputs."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): What `spacy init labels` writes and `initialize` takes as `labels`."""
        return self.labels

    @property
    def tags(self) -> list[str]:
        """RETURNS (list[str]): The model's outputs, `O` first."""
        return self.lattice.tags

    @property
    def lattice(self) -> Lattice:
        """RETURNS (Lattice): The legal tag sequences."""
        return _lattice(self.settings.scheme, self.labels)

    @property
    def promise(self) -> Promise | None:
        """RETURNS (Promise | None): What calibration has promised."""
        return Promise.from_state(self.cfg["promise"], self.labels)

    def finish_update(self, sgd: Optimizer) -> None:
        """Make a step of training, after which nothing is promised any more."""
        self.cfg["promise"] = None
        super().finish_update(sgd)

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Load the component from bytes; the settings of its config stay as they are. RETURNS: The component."""
        super().from_bytes(bytes_data, exclude=exclude)
        self._check_loaded()
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the component to a folder; the encoder's weights have a file of their own, encoder.safetensors.

        A model for clients that know neither spaCy nor this plugin (attrs["describe"]) writes what they need beside it.
        """
        with weights_in(self.model, Path(path)):
            super().to_disk(path, exclude=exclude)
        describe = self.model.attrs.get("describe")
        if describe is not None and "model" not in exclude:
            describe(self.model, Path(path), self.lattice.scheme, self.cfg)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Self:
        """Load the component from a folder; the settings of its config stay as they are. RETURNS: The component."""
        if "cfg" not in exclude:
            check_state_file(Path(path) / "cfg")
        with weights_in(self.model, Path(path)):
            super().from_disk(path, exclude=exclude)
        self._check_loaded()
        return self

    def _check_loaded(self) -> None:
        """RAISES: DamagedModelError, or ValueError where the saved model's outputs are not the scheme's tags."""
        check_state(self.cfg, f"Component {self.name!r}")
        self.cfg.update(asdict(self.settings))
        outputs = self.model.get_dim("nO") if self.model.has_dim("nO") else None
        if outputs is not None and self.labels and outputs != len(self.tags):
            raise ValueError(
                f"Component {self.name!r}: the saved model has {outputs} outputs, but scheme "
                f"{self.settings.scheme!r} with the labels {', '.join(self.labels)} has {len(self.tags)} tags. Set "
                f"[components.{self.name}] scheme to what the model was trained with; where the labels are not those "
                "that it was trained with, copy the pipeline's folder anew."
            )


@lru_cache(maxsize=64)
def _lattice(scheme: str, labels: tuple[str, ...]) -> Lattice:
    """RETURNS (Lattice): The legal tag sequences, which take long to find for many labels."""
    return Lattice(get_scheme(scheme), labels)


def new_state(settings: ComponentSettings) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The `cfg` of a component that is not trained: what is saved as JSON."""
    return {"labels": [], "temperature": 1.0, "offsets": {}, "promise": None, **asdict(settings)}


def without_settings(state: Mapping[str, Any]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What training and calibration have found out, of a saved `cfg`."""
    return {key: value for key, value in state.items() if key not in SETTING_NAMES}


def check_state(state: Mapping[str, Any], where: str) -> None:
    """Check what training and calibration have found out.

    state (Mapping[str, Any]): The component's `cfg`.
    where (str): What errors call the place.
    RAISES: DamagedModelError where a value is none that saving could have written.
    """
    labels, offsets, temperature = (state.get(key) for key in ("labels", "offsets", "temperature"))
    if not isinstance(labels, list) or not all(isinstance(label, str) and label for label in labels):
        raise DamagedModelError(f"{where}: labels = {labels!r}, expected a list of entity types. {ANEW}")
    if len(set(labels)) < len(labels):
        raise DamagedModelError(f"{where}: labels = {labels!r}, expected each entity type once. {ANEW}")
    if not _is_finite(temperature) or temperature <= 0:
        raise DamagedModelError(f"{where}: temperature = {temperature!r}, expected a number above 0. {ANEW}")
    if not isinstance(offsets, dict) or not set(offsets) <= set(labels) or not all(map(_is_finite, offsets.values())):
        raise DamagedModelError(
            f"{where}: offsets = {offsets!r}, expected numbers for some of the labels {', '.join(labels)}. {ANEW}"
        )
    try:
        Promise.from_state(state.get("promise"), labels)
    except ValueError as error:
        raise DamagedModelError(f"{where}: {error}. {ANEW}") from error


def check_state_file(path: Path) -> None:
    """Check that a component's `cfg` can be read. RAISES: DamagedModelError that names the file."""
    try:
        srsly.json_loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        raise DamagedModelError(
            f"{path} is damaged: no JSON ({error}), expected the component's labels and calibration. {ANEW}"
        ) from error


@contextmanager
def weights_in(model: Model, folder: Path) -> Iterator[None]:
    """Keep an encoder's weights, where the model has an encoder, in a file beside the rest.

    model (Model): The component's model, which is saved or loaded meanwhile.
    folder (Path): The component's folder.
    """
    shims: list[Any] = [shim for node in model.walk() for shim in node.shims if hasattr(shim, "weights_in")]
    with ExitStack() as stack:
        for i, shim in enumerate(shims):
            name = f"encoder-{i}.safetensors" if i else "encoder.safetensors"
            stack.enter_context(shim.weights_in(folder / name))
        yield


def _is_finite(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
