"""The encoder of a component, put into int8 and back into floats, one plan after another."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.network.kinds import TRANSFORMER_KINDS
from spacy_bert_ner.encoder.network.transformer import Transformer
from spacy_bert_ner.encoder.observing import InputStatistics, observe
from spacy_bert_ner.encoder.quantized import LINEARS, linears_of
from spacy_bert_ner.encoder.quantizing import quantize_encoder
from spacy_bert_ner.encoder.ranges import find_ranges
from spacy_bert_ner.encoder.shim import EncoderShim

# Types of layer: the linear ones, and the table of the words' embeddings.
WORDS_PART = "words"
PARTS = (*LINEARS, WORDS_PART)


@dataclass(frozen=True)
class QuantizationPlan:
    """How an encoder is quantized.

    method (str): How the ranges of inputs are found: one of ranges.METHODS.
    parts (frozenset[str]): The types of layer that are in int8; others stay in floats.
    """

    method: str
    parts: frozenset[str]

    def without(self, part: str) -> "QuantizationPlan":
        """RETURNS (QuantizationPlan): The plan with one more type of layer in floats."""
        return QuantizationPlan(self.method, self.parts - {part})


class Quantizer:
    """Puts the encoder of a component into int8.

    nlp (Language): The pipeline.
    name (str): Its `bert_ner` component.
    source (str): What the pipeline is called, for whoever wants to train it later.
    RAISES: ValueError where the encoder is none of ours, is in int8 already, or there is not just one.
    """

    def __init__(self, nlp: Language, name: str, source: str) -> None:
        self._nlp, self._source = nlp, source
        self._owner, self._model = find_quantizable(nlp, name)
        self._shim = get_shim(self._model)
        if self._shim.is_quantized:
            raise ValueError("Its encoder is in int8 already. Quantize the pipeline that it was made of")
        self._encoder = self._shim.encoder
        if not isinstance(self._encoder.network, Transformer):
            kind = self._encoder.config.get("model_type")
            raise ValueError(f"Its encoder is of the kind {kind!r}: int8 is for {', '.join(TRANSFORMER_KINDS)}")
        self._seen: dict[str, InputStatistics] = {}

    @property
    def parts(self) -> frozenset[str]:
        """RETURNS (frozenset[str]): The types of layer that the encoder has."""
        return frozenset({name.rpartition(".")[2] for name, _ in linears_of(self._encoder)} | {WORDS_PART})

    def share(self, part: str) -> float:
        """RETURNS (float): A type's share of the weights that are multiplied; 0 of embeddings, which are looked up."""
        sizes = {name: linear.weight.numel() for name, linear in linears_of(self._encoder)}
        return sum(size for name, size in sizes.items() if name.rpartition(".")[2] == part) / sum(sizes.values())

    def observe(self, docs: Iterable[Doc]) -> None:
        """Watch the layers' inputs. docs (Iterable[Doc]): A sample of what will be predicted."""
        self._seen = observe(self._model, docs)

    def apply(self, plan: QuantizationPlan) -> None:
        """Put the encoder into int8, and say so in the pipeline's config."""
        weights = {name: linear.weight.detach().cpu() for name, linear in linears_of(self._encoder)}
        # A layer that the sample gave nothing, as the memory where no word recurs, has no range, and stays in floats.
        seen = {name: own for name, own in self._seen.items() if len(own.rows)}
        chosen = {name: own for name, own in seen.items() if name.rpartition(".")[2] in plan.parts}
        state = quantize_encoder(
            self._encoder, find_ranges(chosen, weights, plan.method), short_words=WORDS_PART in plan.parts
        )
        self._shim.set_quantized(state, self._source)
        for section in _sections(self._nlp.get_pipe_config(self._owner)["model"]):
            section["precision"] = "int8"


def find_quantizable(nlp: Language, name: str) -> tuple[str, Model]:
    """Find the encoder of a component, its own or one that it shares with others.

    nlp (Language): The pipeline.
    name (str): The component.
    RETURNS (tuple[str, Model]): The component that holds it, and the encoder.
    RAISES: ValueError where there is none or more than one.
    """
    found = _encoders(nlp, [name]) or _encoders(nlp, nlp.pipe_names)
    if len(found) != 1:
        places = ", ".join(owner for owner, _ in found)
        what = f"{len(found)} encoders ({places})" if found else "no encoder of this plugin"
        raise ValueError(f"Component {name!r} has {what}, expected one: there is nothing that could be in int8")
    return found[0]


def _encoders(nlp: Language, names: Iterable[str]) -> list[tuple[str, Model]]:
    models = [(name, getattr(nlp.get_pipe(name), "model", None)) for name in names]
    return [
        (name, node)
        for name, model in models
        if isinstance(model, Model)
        for node in model.walk()
        if any(isinstance(shim, EncoderShim) for shim in node.shims)
    ]


def _sections(config: Any) -> list[dict[str, Any]]:
    """RETURNS (list[dict[str, Any]]): The sections of a model's config that have a precision."""
    if not isinstance(config, dict):
        return []
    own = [config] if "precision" in config else []
    return own + [section for value in config.values() for section in _sections(value)]
