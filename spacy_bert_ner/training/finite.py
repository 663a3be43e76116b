"""Detection of NaN and infinity in training, with the documents of the step."""

import math
from collections.abc import Iterable, Sequence

import torch
from spacy.training import Example

from spacy_bert_ner.rawtext.retokenizing import number_documents

from .parameters import Tensors
from .training_error import NonFiniteError

LONGEST_SHOWN = 60
ADVICE = (
    "Look at these documents; if nothing is wrong with them, lower the learning rate or [training.optimizer] "
    "grad_clip, or set precision to fp32"
)


def first_non_finite(tensors: Tensors) -> str | None:
    """RETURNS (str | None): The name of the first tensor with NaN or infinity."""
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    if not floating:
        return None
    # Norms read the tensors at a tenth of the cost; that of finite numbers is infinite only where they are huge.
    norms = torch.stack([norm.float() for norm in torch._foreach_norm(list(floating.values()))])
    suspects = [name for name, is_finite in zip(floating, torch.isfinite(norms).tolist(), strict=True) if not is_finite]
    return next((name for name in suspects if not torch.isfinite(floating[name]).all()), None)


def check_losses(losses: dict[str, float], step: int) -> None:
    """RAISES: NonFiniteError where a loss is NaN or infinite."""
    for name, loss in losses.items():
        if not math.isfinite(float(loss)):
            raise NonFiniteError(f"The loss of {name!r} is {float(loss)} in step {step}")


def list_documents(batch: Sequence[Example], corpus: Iterable[Example]) -> str:
    """Name the documents of a batch.

    batch (Sequence[Example]): The batch.
    corpus (Iterable[Example]): The corpus that it is from, read again to number the documents.
    RETURNS (str): A line for each.
    """
    numbers = {example.reference.text: number for number, example in number_documents(corpus)}
    lines = []
    for example in batch:
        text = example.reference.text
        shown = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"
        lines.append(f"  document {numbers.get(text, '?')}: {shown!r}")
    return "\n".join(lines)
