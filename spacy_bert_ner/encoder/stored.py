"""An encoder's weights on the disk: a plain safetensors file, read when they are needed, and always checked.

Prediction in a short dtype needs the fp32 weights once, to cast them, and then no more; training, saving and pickling
want them again, perhaps much later: see storage/stored_files.py.
"""

from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from spacy_bert_ner.storage.models import ANEW, DamagedModelError
from spacy_bert_ner.storage.stored_files import StoredFile

from .pretrained_files import Shards


class StoredWeights(StoredFile):
    """The weights of an encoder in a safetensors file."""

    holds = "the encoder's weights"
    changed = (
        "{path} holds other weights than when the pipeline was loaded from there. They were left on the disk, as "
        "prediction needs a shorter form alone. Load the pipeline again before it is trained, saved or pickled."
    )

    def tensors(self) -> Mapping[str, Tensor]:
        """RETURNS (Mapping[str, Tensor]): The weights by name, read one at a time where the file is still in place."""
        if not self.in_place:
            return load(self.read())
        try:
            return Shards([self.path])
        except (OSError, SafetensorError) as error:
            raise DamagedModelError(f"{self.path} cannot be read ({error}). {ANEW}") from error


class HeldWeights:
    """The weights of an encoder in memory, as they were saved: what StoredWeights is to a file.

    content (bytes): safetensors.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        """RETURNS (bytes): The content."""
        return self._content

    def tensors(self) -> Mapping[str, Tensor]:
        """RETURNS (Mapping[str, Tensor]): The weights by name."""
        return load(self._content)


def dump_weights(state: Mapping[str, Tensor]) -> bytes:
    """RETURNS (bytes): Parameters and buffers by name, as a module's state_dict has them, as safetensors."""
    # Tied weights are one tensor under several names, which safetensors refuses.
    return save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()})
