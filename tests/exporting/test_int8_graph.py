"""A graph in int8 gives what a network gives whose linear layers round to the same codes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.network.kinds import NetworkShape
from spacy_bert_ner.encoder.network.module import Encoder
from spacy_bert_ner.exported.exact_products import ROWS, extreme_rows, extreme_weight, products_are_exact
from spacy_bert_ner.exported.graph_files import WEIGHTS, Graph
from spacy_bert_ner.exported.sessions import GraphSession
from spacy_bert_ner.exporting.head_graph import write_head
from spacy_bert_ner.exporting.network_graph import write_encoder
from spacy_bert_ner.exporting.probe_graph import write_probe
from tests.exported.pipelines import component_of, make_random

SCALE, ZERO_POINT = 0.05, 120


class RoundedLinear(nn.Module):
    """A linear layer in fp32 whose inputs are codes, and whose weights are."""

    def __init__(self, parts: dict[str, Tensor]) -> None:
        super().__init__()
        self.parts, self.in_features = parts, parts["weight"].shape[1]

    def forward(self, rows: Tensor) -> Tensor:
        rows = rows / self.parts["smoothing"] if "smoothing" in self.parts else rows
        codes = (torch.round(rows / SCALE) + ZERO_POINT).clamp(0, 255)
        weight = self.parts["weight"].float() * self.parts["weight_scale"][:, None]
        return ((codes - ZERO_POINT) * SCALE) @ weight.T + self.parts["bias"]


def quantize(encoder: Encoder, smoothed: bool) -> dict[str, Tensor]:
    """RETURNS: The weights in int8, as they are saved; the encoder then computes with them."""
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    for place, module in list(encoder.named_modules()):
        if not isinstance(module, nn.Linear) or place.endswith("project"):
            continue
        parts = {"bias": module.bias.detach()}
        weight = module.weight.detach()
        if smoothed and place.endswith(("qkv", "expand", "compare")):
            parts["smoothing"] = torch.linspace(0.5, 2, weight.shape[1])
            weight = weight * parts["smoothing"]
        parts["weight_scale"] = weight.abs().amax(1) / 127
        parts["weight"] = torch.round(weight / parts["weight_scale"][:, None]).to(torch.int8)
        parent, _, leaf = place.rpartition(".")
        encoder.get_submodule(parent)._modules[leaf] = RoundedLinear(parts)
        state |= {f"{place}.{name}": tensor for name, tensor in parts.items()}
        state[f"{place}.input_scale"] = torch.tensor(SCALE)
        state[f"{place}.input_zero_point"] = torch.tensor(ZERO_POINT, dtype=torch.int32)
    return state


def shorten_tables(encoder: Encoder, state: dict[str, Tensor]) -> None:
    """Save the words' embeddings in int8 and the positions' in fp16, and let the encoder have what is left of them."""
    words, positions = (encoder.get_parameter(f"network.embeddings.{name}.weight") for name in ("words", "positions"))
    scale = words.detach().abs().amax(1) / 127
    codes = torch.round(words.detach() / scale[:, None]).to(torch.int8)
    state |= {"network.embeddings.words.weight": codes, "network.embeddings.words.weight_scale": scale}
    state["network.embeddings.positions.weight"] = positions.detach().half()
    with torch.no_grad():
        words.copy_(codes.float() * scale[:, None])
        positions.copy_(positions.half())


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize("name", ["bert", "mpnet", "electra"])
def test_the_graph_rounds_as_the_network_does(name: str, smoothed: bool, tiny_encoder: Callable[[str], Path]) -> None:
    nlp = make_random(tiny_encoder(name), case_features=True)
    encoder = get_shim(component_of(nlp).model.get_ref("tok2vec")).encoder
    shape = NetworkShape.of(encoder.config)
    state = quantize(encoder, smoothed)
    shorten_tables(encoder, state)
    content, weights = write_encoder(state, shape)
    types = {node.op_type for node in onnx.load_from_string(content).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= types
    rng = np.random.default_rng(0)
    sizes = [13, 16, 9]
    ids, shapes = rng.integers(5, 60, (3, 16)), rng.integers(0, 64, (3, 16))
    mask = np.arange(16) < np.array(sizes)[:, None]
    inputs = {"ids": ids, "shapes": shapes, "mask": mask}
    session = GraphSession(Graph(content, {WEIGHTS: weights}), 1)
    found = session.run(inputs)[mask]
    with torch.no_grad():
        expected = encoder(torch.from_numpy(ids[mask]), torch.from_numpy(shapes[mask]), sizes).numpy()
    # Where a sum lies at the edge between two codes, the one may round up what the other rounds down.
    assert np.median(np.abs(found - expected)) < 1e-3
    assert np.abs(found - expected).mean() < 0.02
    for i, size in enumerate(sizes):
        alone = session.run({name: values[i : i + 1] for name, values in inputs.items()})
        assert np.array_equal(alone[0, :size], session.run(inputs)[i, :size])


def test_a_memory_in_int8(tiny_bert: Path) -> None:
    nlp = make_random(tiny_bert, document_memory=True)
    component = component_of(nlp)
    encoder = get_shim(component.model.get_ref("tok2vec")).encoder
    state = quantize(encoder, smoothed=True)
    rng = np.random.default_rng(0)
    rows: dict[str, Any] = {name: rng.normal(size=(9, 32)).astype("f") for name in ("vectors", "others")}
    head = write_head(state, "first", np.eye(32, dtype="f"), np.zeros(32, "f"))
    found = GraphSession(Graph(head), 1).run({**rows, "recurs": np.ones((9, 1), "f")})
    both = torch.from_numpy(np.concatenate([rows["vectors"], rows["others"]], axis=1))
    assert encoder.memory is not None
    added = encoder.memory.add(nn.functional.gelu(encoder.memory.compare(both)))
    np.testing.assert_allclose(found, rows["vectors"] + added.numpy(), atol=0.02)


@pytest.mark.parametrize("count", ROWS)
def test_the_probe_is_exact_on_every_processor_if_sums_are_wide(count: int) -> None:
    rows = extreme_rows(count)
    found = GraphSession(Graph(write_probe()), 1, wide=True).run({"rows": rows})
    assert np.array_equal(found, rows.astype(np.int64) @ extreme_weight().astype(np.int64).T)


@pytest.mark.parametrize("saturated", [False, True])
def test_what_saturates_is_seen(saturated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def multiply(session: GraphSession, inputs: dict[str, Any]) -> Any:
        products = inputs["rows"].astype(np.int64)[..., None] * extreme_weight().T.astype(np.int64)
        pairs = products[:, ::2] + products[:, 1::2]
        return (np.clip(pairs, -(2**15), 2**15 - 1) if saturated else pairs).sum(1)

    monkeypatch.setattr(GraphSession, "run", multiply)
    products_are_exact.cache_clear()
    assert products_are_exact(write_probe()) is not saturated
    products_are_exact.cache_clear()
