"""The encoder as a torch module: a Hugging Face transformer with what this project adds to it."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .casing import CLASSES
from .memory import DocumentMemory
from .packed import can_pack, run_packed


class Encoder(nn.Module):
    """A Hugging Face transformer with what this project adds to it.

    transformer (PreTrainedModel): Any encoder; one that accepts `inputs_embeds` for case features.
    case_features (bool): Whether word-shape features are added to its input embeddings.
    document_memory (bool): Whether there is a memory, which works on whole documents, behind it.
    """

    def __init__(self, transformer: PreTrainedModel, case_features: bool, document_memory: bool = False) -> None:
        super().__init__()
        self.transformer = transformer
        self.case_features = case_features
        if case_features:
            self.casing = nn.Embedding(CLASSES, transformer.get_input_embeddings().embedding_dim)
            nn.init.zeros_(self.casing.weight)
        self.memory = DocumentMemory(transformer.config.hidden_size) if document_memory else None

    def forward(self, ids: Tensor, shapes: Tensor, lengths: Sequence[int]) -> Tensor:
        """Encode windows that lie one after another.

        ids (Tensor): (rows,) piece ids of all windows.
        shapes (Tensor): (rows,) word-shape classes.
        lengths (Sequence[int]): Pieces of each window.
        RETURNS (Tensor): (rows, width).
        """
        transformer = self.transformer
        if ids.device.type == "cpu" and can_pack(transformer):
            embedded = transformer.get_input_embeddings()(ids)
            return run_packed(transformer, embedded + self.casing(shapes) if self.case_features else embedded, lengths)
        return self._forward_padded(ids, shapes, lengths)

    def _forward_padded(self, ids: Tensor, shapes: Tensor, lengths: Sequence[int]) -> Tensor:
        """Do the same by the transformer's own forward pass, which wants every window as long as the longest."""
        sizes = torch.tensor(lengths, device=ids.device)
        mask = torch.arange(max(lengths), device=ids.device) < sizes[:, None]
        padded = torch.zeros(mask.shape, dtype=ids.dtype, device=ids.device)
        inputs = {"input_ids": padded.masked_scatter(mask, ids)}
        if self.case_features:
            embedded = self.transformer.get_input_embeddings()(inputs["input_ids"])
            inputs = {"inputs_embeds": embedded + self.casing(padded.masked_scatter(mask, shapes))}
        # Asked for, as the encoder's config may say otherwise.
        hidden = self.transformer(**inputs, attention_mask=mask.long(), return_dict=True).last_hidden_state
        return cast(Tensor, hidden[mask])
