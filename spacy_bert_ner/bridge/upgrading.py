"""Conversion of pipelines of version 0.1.0 (`transformer`, `bert_ner`, `doc_cleaner`) to the one-component form.

    old                                                     new
    transformer/model   shim: encoder                  ──►  bert_ner/model, bert_ner/encoder.safetensors
    bert_ner/model      nodes: listener, head           ──►  bert_ner/model: encoder, head
    bert_ner/cfg        labels, calibration             ──►  bert_ner/cfg
    doc_cleaner         only `_.trf_data` to clean      ──►  removed
    others              as they are                     ──►  as they are

The saved models are read as data, without spacy-transformers.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import srsly
from spacy import util
from spacy.language import Language
from thinc.api import Config

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.state import check_state, without_settings
from spacy_bert_ner.storage.models import DamagedModelError, find_damage
from spacy_bert_ner.storage.provenance import require

OLD_LISTENER = "spacy-bert-ner.TransformerListener.v1"
OLD_ENCODER = "spacy-bert-ner.TransformerModel.v1"
OLD_OWN_ENCODER = "spacy-bert-ner.Tok2VecTransformer.v1"
NEW_ENCODER = "spacy-bert-ner.Encoder.v1"
# Of spacy-transformers, and of our release config.
DEFAULT_BATCH_ITEMS = (4096, 16384)
# What spaCy's doc_cleaner cleans by default. `token.vector` fails where the tensor is None.
CLEANED = {"_.trf_data", "tensor"}


class Origin(NamedTuple):
    """Where the encoder of a `bert_ner` comes from.

    settings (dict[str, Any]): Its section of the config.
    component (str): The component whose saved model holds it.
    grad_factor (float): What the listener multiplied its gradient by.
    """

    settings: dict[str, Any]
    component: str
    grad_factor: float


class Plan(NamedTuple):
    """The upgrade of a pipeline.

    config (Config): The new config.
    origins (dict[str, Origin]): By the name of the `bert_ner` component.
    notes (list[str]): What the user should know.
    """

    config: Config
    origins: dict[str, Origin]
    notes: list[str]


def upgrade(old: Path) -> tuple[Language, list[str]]:
    """Convert a pipeline of 0.1.0 to the one-component form.

    old (Path): Its folder.
    RETURNS (tuple[Language, list[str]]): The pipeline, ready to be saved, and what the user should know.
    RAISES: ValueError where the folder holds no pipeline that can be converted; DamagedModelError where one of its
        files is damaged.
    """
    if not (old / "config.cfg").is_file():
        raise ValueError(f"{old} holds no config.cfg: expected the folder of a pipeline that spaCy has saved")
    plan = plan_upgrade(util.load_config(old / "config.cfg"))
    meta = util.load_meta(old / "meta.json")
    nlp = util.load_model_from_config(plan.config, meta=meta, auto_fill=True)
    nlp.from_disk(old, exclude=[*plan.origins, "meta"], overrides={})
    for name, origin in plan.origins.items():
        _fill(nlp, name, old / name, old / origin.component)
    nlp.meta.update({key: value for key, value in meta.items() if key not in _DERIVED})
    require(nlp.meta)
    return nlp, plan.notes


# spaCy writes these from the pipeline itself.
_DERIVED = ("pipeline", "components", "labels", "disabled", "spacy_version", "requirements")


def plan_upgrade(old: Config) -> Plan:
    """Write the new config.

    old (Config): The old one, variables not filled in.
    RETURNS (Plan): The upgrade.
    RAISES: ValueError where there is nothing to upgrade, or a component would still need spacy-transformers.
    """
    config = Config(deepcopy(dict(old)))
    components, order = config["components"], config["nlp"]["pipeline"]
    notes: list[str] = []
    origins: dict[str, Origin] = {}
    for name, block in components.items():
        if block.get("factory") == "bert_ner" and (origin := _find_origin(name, components, order)):
            origins[name] = origin
            block["model"]["tok2vec"] = {"@architectures": NEW_ENCODER, **origin.settings}
            if origin.grad_factor != 1.0:
                notes.append(f"{name}: grad_factor = {origin.grad_factor} has no counterpart and was left out")
    if not origins:
        raise ValueError(
            "The pipeline has no `bert_ner` with an encoder of spacy-bert-ner 0.1.0: its components are "
            f"{', '.join(order)}. There is nothing to upgrade"
        )
    gone = _remove_encoders(config, origins, notes) + _remove_cleaners(components, notes)
    if still := [name for name, block in components.items() if name not in gone and _uses_bridge(block)]:
        raise ValueError(
            f"{', '.join(still)} read the transformer by spacy-transformers as well, so that the pipeline would still "
            'need it. Keep the pipeline as it is (pip install "spacy-bert-ner[bridge]"), or remove them first: '
            f"nlp.remove_pipe({still[0]!r})"
        )
    _forget(config, gone)
    return Plan(config, origins, notes)


def _find_origin(name: str, components: Mapping[str, Any], order: list[str]) -> Origin | None:
    """Find the encoder of a `bert_ner`; None where it is not one of 0.1.0's."""
    tok2vec = components[name].get("model", {}).get("tok2vec", {})
    factor = tok2vec.get("grad_factor", 1.0)
    if tok2vec.get("@architectures") == OLD_OWN_ENCODER:
        return Origin(_settings(tok2vec["transformer"]), name, factor)
    if tok2vec.get("@architectures") != OLD_LISTENER:
        return None
    upstream = tok2vec.get("upstream", "*")
    before = order[: order.index(name)] if name in order else list(components)
    for other in reversed(before):
        model = components[other].get("model", {})
        if upstream in ("*", other) and model.get("@architectures") == OLD_ENCODER:
            return Origin(_settings(model), other, factor)
    raise ValueError(
        f"[components.{name}.model.tok2vec] upstream = {upstream!r}: no component before it has @architectures = "
        f'"{OLD_ENCODER}"'
    )


def _settings(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "@architectures"}


def _remove_encoders(config: Config, origins: dict[str, Origin], notes: list[str]) -> list[str]:
    """Remove the encoders' components. RETURNS: Their names."""
    components = config["components"]
    gone = sorted({origin.component for name, origin in origins.items() if origin.component != name})
    for name in gone:
        readers = [other for other, origin in origins.items() if origin.component == name]
        if len(readers) > 1:
            notes.append(f"{', '.join(readers)} shared the encoder of {name}: each of them has its own copy now")
        items = components[name].get("max_batch_items", DEFAULT_BATCH_ITEMS[0])
        if items not in DEFAULT_BATCH_ITEMS:
            notes.append(f"{name}: max_batch_items = {items} has no counterpart and was left out")
        if name in config.get("training", {}).get("frozen_components", []):
            for other in readers:
                components[other]["model"]["tok2vec"]["trainable"] = False
            notes.append(f"{name} was frozen: {', '.join(readers)} has trainable = false in its encoder's section")
    return gone


def _remove_cleaners(components: Mapping[str, Any], notes: list[str]) -> list[str]:
    """Remove the cleaning of the encoder's output. RETURNS: The names of the components that are no longer needed."""
    gone = []
    for name, block in components.items():
        attrs = block.get("attrs", {})
        if block.get("factory") == "doc_cleaner" and "_.trf_data" in attrs:
            if set(attrs) <= CLEANED:
                gone.append(name)
                continue
            del attrs["_.trf_data"]
            notes.append(f"{name} cleans {', '.join(attrs)} as before, and `_.trf_data` no more")
    return gone


def _uses_bridge(block: Any) -> bool:
    """Say whether a component's config names an architecture or a factory that needs spacy-transformers."""
    if not isinstance(block, Mapping):
        return False
    named = [value for key, value in block.items() if key in ("@architectures", "factory") and isinstance(value, str)]
    needs = any(
        value == "transformer"
        or value in (OLD_LISTENER, OLD_ENCODER, OLD_OWN_ENCODER)
        or value.startswith("spacy-transformers.")
        for value in named
    )
    return needs or any(_uses_bridge(value) for value in block.values())


def _forget(config: Config, gone: list[str]) -> None:
    """Remove components from a config, wherever it names them."""
    for name in gone:
        del config["components"][name]
        config.get("initialize", {}).get("components", {}).pop(name, None)
    nlp, training = config["nlp"], config.get("training", {})
    for section, key in (
        (nlp, "pipeline"),
        (nlp, "disabled"),
        (training, "frozen_components"),
        (training, "annotating_components"),
    ):
        if isinstance(section.get(key), list):
            section[key] = [name for name in section[key] if name not in gone]


def _fill(nlp: Language, name: str, old: Path, old_encoder: Path) -> None:
    """Load a component's labels, calibration, head and encoder."""
    component = nlp.get_pipe(name)
    assert isinstance(component, BertNER)
    state = json.loads((old / "cfg").read_text(encoding="utf8"))
    check_state(state, f"{old / 'cfg'}")
    component.cfg.update(without_settings(state))
    encoder = component.model.get_ref("tok2vec")
    shim = next(shim for node in _read(old_encoder / "model")["shims"] for shim in node)
    get_shim(encoder).from_bytes(shim)
    head = next(params for params in _read(old / "model")["params"] if params and params.get("W") is not None)
    outputs, width = head["W"].shape
    encoder.set_dim("nO", width)
    linear = component.model.get_ref("output_layer").layers[0]
    linear.set_dim("nI", width)
    for node in _without_outputs(component):
        node.set_dim("nO", outputs)
    for param in ("W", "b"):
        linear.set_param(param, linear.ops.asarray_f(head[param].copy()))


def _without_outputs(component: BertNER) -> Iterator[Any]:
    """List the layers whose number of outputs is that of the tags and not set yet."""
    for node in (component.model, *component.model.get_ref("scorer").walk()):
        if node.has_dim("nO") is None:
            yield node


def _read(path: Path) -> dict[str, Any]:
    """Read a saved model as data. RAISES: DamagedModelError that names the file."""
    content = path.read_bytes()
    if damage := find_damage(content):
        raise DamagedModelError(f"{path} is damaged: {damage}. Copy, download or install the pipeline anew")
    return srsly.msgpack_loads(content)
