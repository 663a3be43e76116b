"""A pipeline whose `bert_ner` computes by torch, as one in which it computes by ONNX Runtime."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import spacy
from spacy import util
from spacy.language import Language
from thinc.api import Config, Model

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.network.kinds import TRANSFORMER_KINDS, NetworkShape, find_obstacle
from spacy_bert_ner.encoder.settings import ENCODER as ENCODER_ARCHITECTURE
from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.exported.graph_files import ENCODER, HEAD, PROBE, TOKENIZER, WEIGHTS, Content, GraphFiles
from spacy_bert_ner.exported.onnx_classifier import ONNX_CLASSIFIER, get_onnx_shim
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.state import without_settings
from spacy_bert_ner.storage.provenance import require

from .equality import largest_difference
from .head_graph import write_head
from .network_graph import write_encoder
from .probe_graph import write_probe

# Of logits. Sums in another order differ by some 1e-5 of them.
TOLERANCE = 1e-3
# In int8 torch attends in bf16, and sums that differ in their last bits are rounded to other codes at times.
INT8_TOLERANCE = 1.0
# What spaCy writes anew from the pipeline itself.
DERIVED = ("pipeline", "components", "labels", "disabled", "spacy_version", "requirements")


def export_pipeline(source: Path) -> tuple[Language, dict[str, float]]:
    """Make the pipeline that needs no torch.

    source (Path): Folder of a trained pipeline.
    RETURNS (tuple[Language, dict[str, float]]): The pipeline, ready to be saved, and by component the largest
        difference between its logits and those of torch in fp32.
    RAISES: ValueError where a component is of a kind that cannot be exported, or its graphs give other logits.
    """
    nlp = spacy.load(source)
    old = {name: pipe for name, pipe in nlp.components if isinstance(pipe, BertNER)}
    if not old:
        raise ValueError(f"It holds no bert_ner, but {', '.join(nlp.component_names) or 'nothing'}")
    for name, pipe in nlp.components:
        refuse_what_needs_torch(name, pipe)
    config, meta = util.load_config(source / "config.cfg"), util.load_meta(source / "meta.json")
    exported = util.load_model_from_config(replan(config, list(old)), meta=meta, auto_fill=True)
    exported.from_disk(source, exclude=[*old, "meta"], overrides={})
    differences = {}
    for name, pipe in old.items():
        new = exported.get_pipe(name)
        assert isinstance(new, BertNER)
        new.cfg.update(without_settings(pipe.cfg))
        fill_model(new.model, pipe.model)
        differences[name] = largest_difference(nlp, pipe.model, new.model)
        in_int8 = get_shim(pipe.model.get_ref("tok2vec")).is_quantized
        tolerance = INT8_TOLERANCE if in_int8 else TOLERANCE
        if not differences[name] <= tolerance:
            raise ValueError(
                f"The graphs of {name} give other logits than torch, by {differences[name]:.2g}, expected at most "
                f"{tolerance}: onnxruntime or spacy-bert-ner has a fault, which its developers should hear of"
            )
    exported.meta.update({key: value for key, value in meta.items() if key not in DERIVED})
    require(exported.meta, "onnx")
    return exported, differences


def refuse_what_needs_torch(name: str, pipe: Any) -> None:
    """Refuse a component that would need torch afterwards. RAISES: ValueError that says what to do."""
    model = getattr(pipe, "model", None)
    if not isinstance(model, Model) or not (isinstance(pipe, BertNER) or any(node.shims for node in model.walk())):
        return
    tok2vec = model.get_ref("tok2vec") if isinstance(pipe, BertNER) and model.has_ref("tok2vec") else None
    if isinstance(pipe, BertNER) and tok2vec is None:
        raise ValueError(f"Component {name!r} is exported already")
    shim = tok2vec.shims[0] if tok2vec is not None and tok2vec.shims else None
    if not isinstance(shim, EncoderShim):
        what = "reads another component's vectors" if isinstance(pipe, BertNER) else "computes by torch itself"
        raise ValueError(
            f"Component {name!r} {what}. Only a bert_ner that has its own encoder, @architectures = "
            f'"{ENCODER_ARCHITECTURE}", can be exported: train one, or nlp.remove_pipe({name!r})'
        )
    obstacle = find_obstacle(shim.at_rest.saved.config)
    if obstacle:
        kinds = ", ".join(sorted(TRANSFORMER_KINDS))
        raise ValueError(
            f"The encoder of {name!r} has {obstacle}, which spacy-bert-ner's own network does not have, and only that "
            f"can be exported. Train an encoder of a kind that it knows: {kinds}"
        )


def replan(config: Config, names: list[str]) -> Config:
    """Change the models of some components to those that ONNX Runtime runs. RETURNS (Config): A changed copy."""
    changed = Config(deepcopy(dict(config)))
    for name in names:
        model = changed["components"][name]["model"]
        encoder = model["tok2vec"]
        kept = {key: encoder[key] for key in ("window", "stride", "max_batch_pieces") if key in encoder}
        pieces = {"pieces": model["pieces"]} if "pieces" in model else {}
        changed["components"][name]["model"] = {"@architectures": ONNX_CLASSIFIER, **kept, **pieces}
    return changed


def fill_model(new: Model, old: Model) -> None:
    """Write the graphs of a trained model.

    new (Model): spacy-bert-ner.OnnxClassifier.v1.
    old (Model): spacy-bert-ner.TokenClassifier.v1 with an encoder.
    """
    shim, output = get_shim(old.get_ref("tok2vec")), old.get_ref("output_layer").layers[0]
    pieces = shim.pieces.to_dict()
    weight, bias = (old.ops.to_numpy(output.get_param(name)) for name in ("W", "b"))
    # Saved floats may have the names of 0.1.0; the module's are those of now.
    state = shim.at_rest.weights.tensors() if shim.is_quantized else shim.encoder.state_dict()
    head = write_head(state, new.attrs["pieces"], weight, bias)
    encoder, encoder_weights = write_encoder(state, NetworkShape.of(shim.at_rest.saved.config))
    contents = {
        ENCODER: encoder,
        WEIGHTS: encoder_weights,
        HEAD: head,
        PROBE: write_probe(),
        TOKENIZER: pieces["tokenizer"].encode("utf8"),
    }
    new.set_dim("nO", len(weight))
    files = GraphFiles({name: Content(content) for name, content in contents.items()}, pieces["settings"])
    get_onnx_shim(new).set_files(files)
