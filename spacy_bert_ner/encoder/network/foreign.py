"""Transformers of other kinds, by Hugging Face's classes: DeBERTa, ModernBERT, ALBERT and others.

transformers is imported when one is asked for, and not before; its fourth and its fifth major version both serve.
"""

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

NEEDED = (
    '{what} needs transformers, which is not installed: pip install "spacy-bert-ner[train]". Without it, the kinds '
    "{kinds} are read."
)


class Foreign(nn.Module):
    """Another transformer, in the network's place.

    transformer (PreTrainedModel): Any encoder; one that accepts `inputs_embeds` for case features.
    """

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer: Any = transformer

    @property
    def rows(self) -> int:
        """RETURNS (int): Of the table of embeddings."""
        return int(self.transformer.get_input_embeddings().num_embeddings)

    @property
    def width(self) -> int:
        """RETURNS (int): Of the vectors."""
        return int(self.transformer.config.hidden_size)

    @property
    def embedding_width(self) -> int:
        """RETURNS (int): Of the words' embeddings."""
        return int(self.transformer.get_input_embeddings().embedding_dim)

    def forward(self, ids: Tensor, added: Tensor | None, lengths: Sequence[int]) -> Tensor:
        """Encode windows that lie one after another, which Hugging Face's pass wants as long as the longest.

        ids (Tensor): (rows,) piece ids of all windows.
        added (Tensor | None): (rows, embedding width) what is added to the words' embeddings.
        lengths (Sequence[int]): Pieces of each window.
        RETURNS (Tensor): (rows, width).
        """
        sizes = torch.tensor(lengths, device=ids.device)
        mask = torch.arange(max(lengths), device=ids.device) < sizes[:, None]
        padded = torch.zeros(mask.shape, dtype=ids.dtype, device=ids.device)
        inputs = {"input_ids": padded.masked_scatter(mask, ids)}
        if added is not None:
            embedded = self.transformer.get_input_embeddings()(inputs["input_ids"])
            wide = embedded.new_zeros(embedded.shape).masked_scatter(mask[..., None], added.to(embedded.dtype))
            inputs = {"inputs_embeds": embedded + wide}
        # Asked for, as the encoder's config may say otherwise.
        hidden = self.transformer(**inputs, attention_mask=mask.long(), return_dict=True).last_hidden_state
        return cast(Tensor, hidden[mask])


def make_foreign(config: dict[str, Any]) -> Foreign:
    """Make a transformer of a config, its weights to be replaced; no random numbers are drawn.

    config (dict[str, Any]): Its config.json.
    RETURNS (Foreign): The transformer, with the fastest attention that it has.
    RAISES: ImportError where transformers is not installed; ValueError where it does not know the kind.
    """
    require_transformers(f"an encoder of the kind {config.get('model_type')!r}")
    from transformers import AutoConfig, AutoModel

    settings = copy.deepcopy(config)
    known = AutoConfig.for_model(settings.pop("model_type"), **settings)
    with _without_initialization():
        return Foreign(with_fastest_attention(lambda **how: AutoModel.from_config(known, **how)))


def with_fastest_attention(make: Any) -> Any:
    """Make a transformer. RETURNS (PreTrainedModel): What `make` gives, by the fastest attention that it knows."""
    try:
        return make(attn_implementation="sdpa", trust_remote_code=False)
    except (ValueError, ImportError) as error:
        # DeBERTa, among others, has no such implementation.
        if "scaled_dot_product_attention" not in str(error) and "sdpa" not in str(error):
            raise
        return make(attn_implementation="eager", trust_remote_code=False)


def config_of(foreign: Foreign) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): A transformer's config, from which `make_foreign` makes it again."""
    return cast(dict[str, Any], json.loads(foreign.transformer.config.to_json_string(use_diff=False)))


def require_transformers(what: str) -> None:
    """Refuse what needs transformers where it is not installed. RAISES: ImportError that names the extra."""
    from importlib.util import find_spec

    from .kinds import TRANSFORMER_KINDS

    if find_spec("transformers") is None:
        raise ImportError(NEEDED.format(what=what, kinds=", ".join(TRANSFORMER_KINDS)))


@contextmanager
def _without_initialization() -> Iterator[None]:
    """Skip random weights, whose drawing would change what others draw; transformers 5 has moved its way to do so."""
    try:
        from transformers.initialization import no_init_weights
    except ImportError:
        from transformers.modeling_utils import no_init_weights
    state = torch.random.get_rng_state()
    with no_init_weights():
        yield
    torch.random.set_rng_state(state)
