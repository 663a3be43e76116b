"""The encoder as a torch module: a transformer with what this project adds to it."""

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from .casing import CLASSES
from .foreign import Foreign
from .layers import Embedding
from .memory import DocumentMemory
from .transformer import Transformer


class Encoder(nn.Module):
    """A transformer with what this project adds to it.

    network (Transformer | Foreign): Our own, or another by Hugging Face's classes.
    config (dict[str, Any]): What it is built of: its config.json.
    case_features (bool): Whether word-shape features are added to its input embeddings.
    document_memory (bool): Whether there is a memory, which works on whole documents, behind it.

    `new_parameters` (frozenset[str]) are the names of the newly initialised ones, which no checkpoint holds.
    """

    def __init__(
        self,
        network: Transformer | Foreign,
        config: dict[str, Any],
        case_features: bool,
        document_memory: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.case_features = case_features
        if case_features:
            self.casing = Embedding(CLASSES, network.embedding_width)
        self.memory = DocumentMemory(network.width) if document_memory else None
        self.new_parameters = frozenset(name for name, _ in self.named_parameters() if not name.startswith("network."))

    def initialize(self) -> None:
        """Initialise the new parameters: an encoder begins as the transformer without it."""
        if self.case_features:
            nn.init.zeros_(self.casing.weight)
        if self.memory is not None:
            self.memory.initialize()

    @property
    def width(self) -> int:
        """RETURNS (int): Of the vectors."""
        return self.network.width

    def forward(self, ids: Tensor, shapes: Tensor, lengths: Sequence[int]) -> Tensor:
        """Encode windows that lie one after another.

        ids (Tensor): (rows,) piece ids of all windows.
        shapes (Tensor): (rows,) word-shape classes.
        lengths (Sequence[int]): Pieces of each window.
        RETURNS (Tensor): (rows, width).
        """
        added = self.casing(shapes) if self.case_features else None
        return cast(Tensor, self.network(ids, added, lengths))
