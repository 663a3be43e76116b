"""Weights that are not finite numbers."""

import pytest
import torch

from spacy_bert_ner.training.finite import first_non_finite


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_value_among_many_is_found(dtype: torch.dtype, value: float) -> None:
    tensors = {name: torch.ones(50, 50, dtype=dtype) for name in "abc"} | {"d": torch.ones((), dtype=torch.float32)}
    assert first_non_finite(tensors) is None
    tensors["c"][7, 9] = value
    assert first_non_finite(tensors) == "c"
    tensors["d"] = torch.tensor(value)
    tensors["b"][49, 49] = value
    assert first_non_finite(tensors) == "b"


def test_large_numbers_are_finite() -> None:
    largest = torch.full((9, 9), torch.finfo(torch.float16).max, dtype=torch.float16)
    assert first_non_finite({"a": largest, "b": torch.full((9, 9), torch.finfo(torch.float32).max)}) is None


def test_what_is_empty_or_of_whole_numbers() -> None:
    assert first_non_finite({}) is None
    assert first_non_finite({"a": torch.arange(3)}) is None
    assert first_non_finite({"a": torch.ones(0), "b": torch.tensor([float("nan")])}) == "b"
