"""What training and calibration find out about a component, and how that is saved and read back.

bert_ner/cfg                   labels, temperature, offsets; beside them the settings, which a config overrules
         model                 the head, and how the encoder is built
         encoder.safetensors   the encoder's weights
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeGuard

import srsly
from thinc.api import Model

from spacy_bert_ner.storage.models import ANEW, DamagedModelError

from .settings import ComponentSettings

_SETTINGS = frozenset(field.name for field in fields(ComponentSettings))


def new_state(settings: ComponentSettings) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The `cfg` of a component that is not trained: what is saved as JSON."""
    return {"labels": [], "temperature": 1.0, "offsets": {}, **asdict(settings)}


def without_settings(state: Mapping[str, Any]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What training and calibration have found out, of a saved `cfg`."""
    return {key: value for key, value in state.items() if key not in _SETTINGS}


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


def check_state_file(path: Path) -> None:
    """Check that a component's `cfg` can be read. RAISES: DamagedModelError that names the file."""
    try:
        srsly.json_loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        raise DamagedModelError(
            f"{path} is damaged: no JSON ({error}), expected the component's labels and calibration. {ANEW}"
        ) from error


def check_outputs(model: Model, tags: int, settings: ComponentSettings, labels: tuple[str, ...], name: str) -> None:
    """Compare a saved model with the scheme of the config.

    model (Model): The component's model, as it was loaded.
    tags (int): How many tags the scheme has with the labels.
    settings (ComponentSettings): The component's settings.
    labels (tuple[str, ...]): Its labels.
    name (str): Its name.
    RAISES: ValueError where the model has another number of outputs.
    """
    outputs = model.get_dim("nO") if model.has_dim("nO") else None
    if outputs is not None and labels and outputs != tags:
        raise ValueError(
            f"Component {name!r}: the saved model has {outputs} outputs, but scheme {settings.scheme!r} with the "
            f"labels {', '.join(labels)} has {tags} tags. Set [components.{name}] scheme to what the model was trained "
            "with; where the labels are not those that it was trained with, copy the pipeline's folder anew."
        )


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
