"""int8: integers multiplied exactly, each document's result its own, and floats where a processor cannot."""

import json
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from thinc.api import Model
from torch import Tensor
from torch.nn.functional import gelu, relu, silu

from spacy_bert_ner.encoder import at_rest
from spacy_bert_ner.encoder.model import build_encoder_model, get_shim
from spacy_bert_ner.encoder.network.int8 import Int8Linear, to_codes
from spacy_bert_ner.encoder.network.int8_layers import Int8Layer
from spacy_bert_ner.encoder.network.int8_probe import find_int8_obstacle
from spacy_bert_ner.encoder.observing import KEPT_INPUTS, InputStatistics, observe
from spacy_bert_ner.encoder.quantized import Dequantized, linears_of
from spacy_bert_ner.encoder.quantizing import LARGEST, InputRange, quantize_encoder, quantize_rows
from spacy_bert_ner.encoder.ranges import METHODS, SMOOTHING_GAIN, choose_method, find_range, find_ranges
from spacy_bert_ner.storage.models import DamagedModelError
from spacy_bert_ner.training.optimizer import build_adamw
from tests.encoder.encoders import Encoders, doc_of, long_doc, make, predict

SOURCE = "training/model-final"
OURS = ["bert", "roberta", "xlm-roberta", "camembert", "electra", "mpnet", "distilbert"]
needs_int8 = pytest.mark.skipif(bool(find_int8_obstacle()), reason="this processor does not multiply int8 right")
DOCS = [long_doc(length, seed) for seed, length in enumerate((90, 3, 61, 150, 1, 12, 33, 33, 7, 200))]


def states_of(model: Model, method: str = "bounds", parts: Any = None, **how: Any) -> dict[str, Tensor]:
    encoder = get_shim(model).encoder
    weights = {name: linear.weight.detach() for name, linear in linears_of(encoder)}
    ranges = find_ranges(observe(model, DOCS), weights, method)
    chosen = {name: own for name, own in ranges.items() if parts is None or name.rpartition(".")[2] in parts}
    return quantize_encoder(encoder, chosen, **{"short_words": True, **how})


def quantized(model: Model, **how: Any) -> Model:
    get_shim(model).set_quantized(states_of(model, **how), SOURCE)
    return model


def make_int8(folder: Path, **how: Any) -> Model:
    return quantized(make(folder, precision="auto", document_memory=True, case_features=True), **how)


def similarity(found: list[Any], expected: list[Any]) -> float:
    a, b = np.concatenate(found), np.concatenate(expected)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def check_same(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)


# One layer.


def parts_of(weight: Tensor, bias: Tensor, own: InputRange, scale: Tensor | None = None) -> dict[str, Tensor]:
    codes, scales = quantize_rows(weight)
    return {
        "weight": codes,
        "weight_scale": scales if scale is None else scale,
        "bias": bias,
        "input_scale": torch.tensor(own.scale),
        "input_zero_point": torch.tensor(own.zero_point),
    }


def by_integers(parts: Mapping[str, Tensor], codes: Tensor) -> Tensor:
    """The product of codes by Python's own definition: whole numbers, then one multiplication in double precision."""
    sums = (codes.long() - int(parts["input_zero_point"])) @ parts["weight"].long().T
    return sums.double() * parts["weight_scale"].double() * float(parts["input_scale"]) + parts["bias"].double()


@needs_int8
@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("", lambda x: x),
        ("none", gelu),
        ("tanh", lambda x: gelu(x, approximate="tanh")),
        ("relu", relu),
        ("silu", silu),
    ],
)
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 32, 8), (17, 384, 48), (300, 100, 33)])
def test_a_layer_is_integers_times_scales(activation: str, function: Any, rows: int, inputs: int, outputs: int) -> None:
    own, following = InputRange(-3.0, 5.0), InputRange(-0.2, 6.0)
    parts = parts_of(torch.randn(outputs, inputs), torch.randn(outputs), own)
    linear = Int8Linear(parts, torch.float32, activation)
    codes = torch.randint(0, 256, (rows, inputs), dtype=torch.uint8)
    expected = function(by_integers(parts, codes))
    torch.testing.assert_close(linear(codes).double(), expected, rtol=1e-4, atol=2e-3)
    after = Int8Linear(parts_of(torch.randn(5, outputs), torch.randn(5), following), torch.float32)
    made = linear(codes, after)
    assert made.dtype == torch.uint8
    wanted = (expected / following.scale).round() + following.zero_point
    assert (made.double() - wanted.clamp(0, 255)).abs().max() <= 1
    if not activation:
        residual = torch.randn(rows, outputs)
        added = linear.add_to(residual.clone(), codes)
        torch.testing.assert_close(added.double(), expected + residual, rtol=1e-4, atol=2e-3)


@needs_int8
@given(
    rows=st.integers(1, 130),
    inputs=st.sampled_from([1, 7, 32, 384]),
    outputs=st.sampled_from([1, 9, 64]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_a_row_is_the_same_in_any_company(rows: int, inputs: int, outputs: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    parts = parts_of(
        torch.randn(outputs, inputs, generator=random), torch.randn(outputs, generator=random), InputRange(-3.0, 5.0)
    )
    linear = Int8Linear(parts, torch.bfloat16, "none")
    given_rows = 3 * torch.randn(rows, inputs, generator=random)
    together = linear(given_rows)
    for at in {0, rows // 2, rows - 1}:
        assert torch.equal(together[at : at + 1], linear(given_rows[at : at + 1]))


@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=40),
    st.floats(-100, 0),
    st.floats(0, 100),
)
@example([0.0], 0.0, 5.97e-250)
@settings(max_examples=60, deadline=None)
def test_codes_are_the_nearest(values: list[float], low: float, high: float) -> None:
    own, rows = InputRange(low, high), torch.tensor(values, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codes = to_codes(rows, own.scale, own.zero_point)
    assert codes.dtype == torch.uint8
    assert 0 <= own.zero_point <= 255
    assert int(to_codes(torch.zeros(1), own.scale, own.zero_point)) == own.zero_point
    back = (codes.double() - own.zero_point) * own.scale
    inside = rows.double().clamp((0 - own.zero_point) * own.scale, (255 - own.zero_point) * own.scale)
    assert (back - inside).abs().max() <= own.scale * 0.501


def test_codes_without_torchs_own_function(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(50, 7) * 4
    expected = to_codes(rows.T, 0.03, 100)
    monkeypatch.delattr(torch, "quantize_per_tensor")
    assert torch.equal(to_codes(rows.T, 0.03, 100), expected)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 1000), st.floats(1e-30, 1e30))
@settings(max_examples=40, deadline=None)
def test_rows_of_weights_are_within_half_a_code(rows: int, columns: int, seed: int, size: float) -> None:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * size
    weight[0] = 0
    codes, scale = quantize_rows(weight)
    assert codes.dtype == torch.int8
    assert codes.abs().max() <= LARGEST
    assert torch.isfinite(scale).all()
    assert ((codes * scale[:, None] - weight).abs() <= 0.501 * scale[:, None]).all()


# What it is given.


def test_rows_between_windows_are_not_observed(tiny_bert: Path) -> None:
    model = make(tiny_bert)
    seen: list[int] = []
    original = InputStatistics.add

    class Counted(InputStatistics):
        def add(self, rows: Tensor) -> None:
            seen.append(len(rows))
            original(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spacy_bert_ner.encoder.observing.InputStatistics", Counted)
        observe(model, [doc_of(["hello", "there"]), doc_of([])])
    layout_rows = len(predict(model, [doc_of(["hello", "there"])])[0]) + 2
    assert set(seen) == {layout_rows}
    assert not any(module._forward_pre_hooks for module in get_shim(model).encoder.modules())


def test_statistics_of_parts_are_those_of_the_whole() -> None:
    rows = torch.randn(3 * KEPT_INPUTS, 5)
    whole, parts = InputStatistics(5), InputStatistics(5)
    whole.add(rows)
    for part in rows.split(100):
        parts.add(part)
    for one in (whole, parts):
        assert torch.equal(one.low, rows.amin(0))
        assert torch.equal(one.high, rows.amax(0))
        assert len(one.rows) == KEPT_INPUTS
    assert torch.equal(whole.rows.sort(0).values, parts.rows.sort(0).values)


@pytest.mark.parametrize(
    ("gain", "chosen"), [(-0.001, "bounds"), (0.5 * SMOOTHING_GAIN, "bounds"), (2 * SMOOTHING_GAIN, "smoothing")]
)
def test_smoothing_must_be_worth_its_cost(gain: float, chosen: str) -> None:
    moved = {"bounds": 0.002, "percentile": 0.004, "squared error": 0.003, "smoothing": 0.002 - gain}
    assert choose_method(moved) == chosen


@pytest.mark.parametrize("method", METHODS)
def test_ranges(method: str) -> None:
    rows = torch.randn(KEPT_INPUTS, 40)
    rows[7, 3] = 100.0
    seen, weight = InputStatistics(40), torch.randn(8, 40)
    seen.add(rows)
    own = find_range(seen, weight, method, "expand")
    plain = InputRange(float(rows.min()), float(rows.max()))
    if method == "bounds":
        assert (own.low, own.high, own.smoothing) == (plain.low, plain.high, None)
    elif method == "smoothing":
        assert own.smoothing is not None
        assert own.smoothing[3] == own.smoothing.max()
        # Where no norm stands before it, the smallest error decides.
        elsewhere, by_error = (find_range(seen, weight, how, "mix") for how in (method, "squared error"))
        assert (elsewhere.low, elsewhere.high, elsewhere.smoothing) == (by_error.low, by_error.high, None)
        assert own.low <= float((rows / own.smoothing).min()) + 1e-6
        assert own.high >= float((rows / own.smoothing).max()) - 1e-6
    elif method == "percentile":
        assert own.high < 50.0
    else:
        errors = [
            (((rows / one.scale + one.zero_point).round().clamp(0, 255) - one.zero_point) * one.scale - rows).square()
            for one in (own, plain)
        ]
        assert errors[0].mean() < errors[1].mean()


# The encoder.


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("method", ["bounds", "smoothing"])
def test_kinds(tiny_encoder: Encoders, name: str, method: str) -> None:
    folder = tiny_encoder("roberta" if name == "camembert" else name)
    exact = make(folder, document_memory=True, case_features=True)
    expected = predict(exact, DOCS)
    found = predict(quantized(exact, method=method), DOCS)
    assert all(one.dtype == np.float32 for one in found)
    assert similarity(found, expected) > 0.99
    assert any((one != other).any() for one, other in zip(found, expected, strict=True))


@needs_int8
@pytest.mark.parametrize("kept", [[], ["qkv"], ["mix"], ["expand"], ["contract"], ["compare"], ["add"]])
def test_parts_that_stay_in_floats(tiny_bert: Path, kept: list[str]) -> None:
    exact = make(tiny_bert, document_memory=True)
    expected = predict(exact, DOCS)
    parts = [part for part in ("qkv", "mix", "expand", "contract", "compare", "add") if part not in kept]
    model = quantized(exact, parts=parts, short_words=False)
    assert similarity(predict(model, DOCS), expected) > 0.99
    fast: Any = get_shim(model)._fast
    assert all(isinstance(layer, Int8Layer) for layer in fast.network.layer)
    layer = fast.network.layer[0]
    for part in {*parts, *kept} - {"compare", "add"}:
        assert isinstance(getattr(layer, part), Int8Linear) == (part in parts)


@needs_int8
def test_a_documents_result_is_its_own_to_the_bit(tiny_bert: Path) -> None:
    model = make_int8(tiny_bert)
    alone = [predict(model, [doc])[0] for doc in DOCS]
    check_same(predict(model, DOCS), alone)
    order = np.random.default_rng(0).permutation(len(DOCS)).tolist()
    check_same(predict(model, [DOCS[i] for i in order]), [alone[i] for i in order])
    by_length = sorted(range(len(DOCS)), key=lambda i: len(DOCS[i]))
    check_same(predict(model, [DOCS[i] for i in by_length]), [alone[i] for i in by_length])
    small = build_encoder_model(str(tiny_bert), window=64, stride=48, precision="int8", max_batch_pieces=64)
    get_shim(small).from_bytes(get_shim(model).to_bytes())
    check_same(predict(small, DOCS), alone)


@needs_int8
def test_eight_threads_at_once(tiny_bert: Path) -> None:
    model = make_int8(tiny_bert)
    alone = [predict(model, [doc])[0] for doc in DOCS]
    get_shim(model)._fast = None
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: predict(model, [DOCS[i % len(DOCS)], DOCS[0]])[0], range(40)))
    check_same(found, [alone[i % len(DOCS)] for i in range(40)])


def test_other_precisions_make_floats_of_it(tiny_bert: Path) -> None:
    model = make_int8(tiny_bert)
    expected = predict(model, DOCS)
    content = get_shim(model).to_bytes()
    for precision in ("fp32", "bf16", "auto"):
        other = build_encoder_model(str(tiny_bert), window=64, stride=48, precision=precision)
        get_shim(other).from_bytes(content)
        assert get_shim(other).is_quantized
        assert similarity(predict(other, DOCS), expected) > 0.99
        assert not any(isinstance(module, Int8Linear) for module in get_shim(other)._fast.modules())
        # The weights are none the worse for it.
        assert get_shim(other).to_bytes() == content


def test_floats_are_the_codes_times_their_scales(tiny_bert: Path) -> None:
    model = make(tiny_bert, document_memory=True)
    encoder = get_shim(model).encoder
    for method in ("bounds", "smoothing"):
        state = states_of(model, method)
        floats = Dequantized(state)
        assert set(floats) == set(encoder.state_dict())
        assert len(floats) == len(encoder.state_dict())
        for name, tensor in encoder.state_dict().items():
            step = state.get(f"{name}_scale")
            beside = state.get(name.removesuffix("weight") + "smoothing", torch.ones(1))
            near = tensor.abs() * 2**-10 + 1e-6 if step is None else 0.501 * step[:, None] / beside
            assert ((floats[name] - tensor).abs() <= near).all(), name
        with pytest.raises(KeyError):
            floats["network.layer.0.expand.weight_scale"]


def test_round_trips(tiny_bert: Path) -> None:
    model = make_int8(tiny_bert, method="smoothing")
    expected = predict(model, DOCS)
    content = model.to_bytes()
    loaded = build_encoder_model(
        str(tiny_bert), window=64, stride=48, precision="int8", case_features=True, document_memory=True
    ).from_bytes(content)
    for copied in (loaded, model.copy(), pickle.loads(pickle.dumps(model))):
        check_same(predict(copied, DOCS), expected)
        assert get_shim(copied).to_bytes() == get_shim(model).to_bytes()
        assert get_shim(copied).is_quantized
    # A quarter of the fp32, and a little.
    assert len(content) < 0.45 * len(make(tiny_bert, document_memory=True, case_features=True).to_bytes())


def test_weights_in_a_file(tiny_bert: Path, tmp_path: Path) -> None:
    model = make_int8(tiny_bert)
    shim, path = get_shim(model), tmp_path / "encoder.safetensors"
    expected = predict(model, DOCS)
    with shim.weights_in(path):
        content = shim.to_bytes()
    other = build_encoder_model(str(tiny_bert), window=64, stride=48, precision="int8")
    with get_shim(other).weights_in(path):
        get_shim(other).from_bytes(content)
    check_same(predict(other, DOCS), expected)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(DamagedModelError), get_shim(other).weights_in(path):
        get_shim(other).from_bytes(content)


# What is refused.


def test_nothing_is_trained_in_int8(tiny_bert: Path) -> None:
    model = make_int8(tiny_bert)
    with pytest.raises(ValueError, match=f"{SOURCE}.*quantize MODEL DATA OUT"):
        model.begin_update(DOCS)
    frozen = quantized(make(tiny_bert, precision="auto", trainable=False))
    expected = predict(frozen, DOCS[:2])
    vectors, backprop = frozen.begin_update(DOCS[:2])
    assert np.array_equal(vectors.data, np.concatenate(expected))
    backprop(vectors)
    frozen.finish_update(build_adamw(0.01))
    check_same(predict(frozen, DOCS[:2]), expected)


def test_floats_are_not_taken_for_int8(tiny_bert: Path) -> None:
    with pytest.raises(ValueError, match='precision = "int8" is for an encoder that was quantized'):
        make(tiny_bert, precision="int8")
    model = build_encoder_model(str(tiny_bert), window=64, stride=48, precision="int8")
    with pytest.raises(ValueError, match="quantize MODEL DATA OUT"):
        get_shim(model).from_bytes(get_shim(make(tiny_bert)).to_bytes())


@needs_int8
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("network.layer.0.expand.weight_scale", None, "layer.0.expand.weight_scale"),
        ("network.layer.0.expand.input_scale", None, "layer.0.expand.input_scale"),
        ("network.layer.0.expand.bias", None, "weights are missing"),
        ("network.layer.0.expand.weight", lambda t: t[:-1], "has the shape"),
        ("network.layer.0.expand.weight_scale", lambda t: t[:-1], "has the shape"),
        ("network.embeddings.words.weight", lambda t: t[:, 1:], "has the shape"),
        ("network.layer.0.norm.weight", lambda t: t[1:], "has the shape"),
        ("network.layer.9.norm.weight", lambda t: torch.ones(32), "unexpected"),
    ],
)
def test_weights_that_do_not_fit(tiny_bert: Path, name: str, change: Any, message: str) -> None:
    model = make(tiny_bert, precision="auto")
    state = states_of(model)
    if change is None:
        del state[name]
    else:
        state[name] = change(state.get(name))
    get_shim(model).set_quantized(state, SOURCE)
    with pytest.raises(ValueError, match=message):
        predict(model, DOCS[:1])


# Processors that cannot.

CHILD = """
import json, sys, warnings
import numpy as np
from spacy_bert_ner.encoder.model import build_encoder_model, get_shim
from spacy_bert_ner.encoder.network.int8_probe import find_int8_obstacle
from tests.encoder.encoders import long_doc, predict
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = {}
    for precision in ("int8", "auto"):
        models = [build_encoder_model("any", window=64, stride=48, precision=precision) for _ in range(2)]
        for model in models:
            get_shim(model).from_bytes(open(sys.argv[1], "rb").read())
        both = [predict(model, [long_doc(60), long_doc(9)]) for model in models]
        assert all(np.array_equal(a, b) for a, b in zip(*both))
        found[precision] = [vectors.tolist() for vectors in both[0]]
said = [str(one.message) for one in caught if "are in int8" in str(one.message)]
print(json.dumps({"obstacle": find_int8_obstacle(), "said": said, **found}))
"""


@pytest.mark.parametrize("limit", ["AVX512_CORE", "AVX2", "AVX2_VNNI"])
def test_a_processor_that_saturates_computes_in_floats(tiny_bert: Path, tmp_path: Path, limit: str) -> None:
    model = make_int8(tiny_bert)
    (tmp_path / "encoder").write_bytes(get_shim(model).to_bytes())
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "encoder")],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": limit},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    if limit != "AVX2_VNNI":
        assert "no VNNI" in found["obstacle"]
    if found["obstacle"]:
        assert len(found["said"]) == 1
        assert found["obstacle"] in found["said"][0]
        assert found["int8"] == found["auto"]
    else:
        assert found["said"] == []
    vectors = [np.array(one) for one in found["int8"]]
    assert similarity(vectors, predict(model, [long_doc(60), long_doc(9)])) > 0.99


@pytest.mark.parametrize("missing", ["qlinear_prepack", "qlinear_pointwise"])
def test_a_torch_without_the_operator(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    class Without:
        def __getattr__(self, name: str) -> Any:
            if name == missing:
                raise AttributeError(f"no {name}")
            return getattr(operators, name)

    operators = torch.ops.onednn
    model = make_int8(tiny_bert)
    monkeypatch.setattr(torch.ops, "onednn", Without())
    for cached in (find_int8_obstacle, at_rest.warn_once):
        cached.cache_clear()
    try:
        with pytest.warns(UserWarning, match=f"are in int8.*no {missing}"):
            predict(model, DOCS[:1])
    finally:
        find_int8_obstacle.cache_clear()
