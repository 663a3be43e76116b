"""The `bert_ner` component: entities from per-token tag scores."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer, set_dropout_rate
from thinc.types import Ragged

from spacy_bert_ner.decoding import Lattice, Posteriors
from spacy_bert_ner.storage.models import check_state, check_state_file
from spacy_bert_ner.storage.provenance import record
from spacy_bert_ner.tags import SCHEMES, Entity, get_scheme

from .annotations import Prediction, install_extension, set_entities, set_spans, trim_whitespace
from .decoded import DecodedBatch
from .gold import gold_tags
from .losses import sequence_loss, token_loss
from .standin import register_standin
from .streaming import annotate_stream
from .upstream import require_transformer, require_transformer_output, require_upstream

DEFAULT_CONFIG = """
[bert_ner]
scheme = "BIO"
overwrite = false
annotate_ents = true
spans_key = "bert_ner"
threshold = 0.0
sentence_boundaries = true
loss = "token"

[bert_ner.scorer]
@scorers = "spacy-bert-ner.scorer.v1"

[bert_ner.model]
@architectures = "spacy-bert-ner.TokenClassifier.v1"
pieces = "first"
nO = null

[bert_ner.model.tok2vec]
@architectures = "spacy-bert-ner.Encoder.v1"
name = "bert-base-uncased"
"""

# What the config decides at every load; the rest of `cfg` is what training has found out and comes from the disk.
SETTINGS = ("scheme", "overwrite", "annotate_ents", "spans_key", "threshold", "sentence_boundaries", "loss")
LOSSES = ("token", "sequence")

# Here, as spaCy imports this module at every start of a pipeline: documents that were saved with their confidences can
# then be read with spacy.blank.
install_extension()
register_standin()


@Language.factory(
    "bert_ner",
    assigns=["doc.ents", "doc.spans", "token.ent_iob", "token.ent_type", "span._.confidence"],
    default_config=Config().from_str(DEFAULT_CONFIG)["bert_ner"],
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_bert_ner(
    nlp: Language,
    name: str,
    model: Model[list[Doc], Ragged],
    scheme: str,
    overwrite: bool,
    annotate_ents: bool,
    spans_key: str | None,
    threshold: float,
    sentence_boundaries: bool,
    loss: str,
    scorer: Callable | None,
) -> "BertNER":
    """Make a `bert_ner` component.

    model (Model[list[Doc], Ragged]): Documents to tag scores: see classifier.build_token_classifier.
    scheme (str): Tag scheme, "BIO" or "BILUO".
    overwrite (bool): Whether to replace entities set earlier in the pipeline. Otherwise they stay, and what
        overlaps them is dropped.
    annotate_ents (bool): Whether to write doc.ents at all; otherwise spans_key is the only output, for pipelines in
        which doc.ents belongs to another component.
    spans_key (str | None): Where in doc.spans entities and their confidences go; null switches that off.
    threshold (float): Entities of a lower confidence are dropped: their tokens are outside.
    sentence_boundaries (bool): Whether sentence starts that the document has, from a component upstream, end entities.
    loss (str): What training minimises: "token", the cross-entropy of each token's tag by itself, or "sequence", the
        negative log-likelihood of the whole tag sequence among all legal ones, for which the first piece of each word
        counts.
    scorer (Callable | None): How `nlp.evaluate` scores the component; by default as spaCy does, and from raw text apart
        where a corpus gives documents in that form too.
    """
    return BertNER(
        nlp.vocab,
        model,
        name,
        scheme=scheme,
        overwrite=overwrite,
        annotate_ents=annotate_ents,
        spans_key=spans_key,
        threshold=threshold,
        sentence_boundaries=sentence_boundaries,
        loss=loss,
        scorer=scorer,
    )


class BertNER(TrainablePipe):
    """Named-entity recogniser over per-token tag scores.

    vocab (Vocab): The pipeline's vocabulary.
    model (Model[list[Doc], Ragged]): Documents to tag scores.
    name (str): The component's name in the pipeline.
    scheme (str): Tag scheme, "BIO" or "BILUO".
    overwrite, annotate_ents, spans_key, threshold, sentence_boundaries, loss, scorer: See make_bert_ner.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[list[Doc], Ragged],
        name: str = "bert_ner",
        *,
        scheme: str = "BIO",
        overwrite: bool = False,
        annotate_ents: bool = True,
        spans_key: str | None = "bert_ner",
        threshold: float = 0.0,
        sentence_boundaries: bool = True,
        loss: str = "token",
        scorer: Callable | None = None,
    ) -> None:
        if scheme not in SCHEMES:
            raise ValueError(f"[components.{name}] scheme = {scheme!r} is none of {', '.join(map(repr, SCHEMES))}")
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(
                f"[components.{name}] threshold = {threshold} must lie between 0 and 1: it is a probability"
            )
        if not annotate_ents and spans_key is None:
            raise ValueError(
                f"[components.{name}] annotate_ents = false and spans_key = null leave the entities nowhere to go: set "
                'spans_key, such as "bert_ner"'
            )
        if spans_key == "":
            raise ValueError(f'[components.{name}] spans_key = "": expected a name, or null to switch it off')
        if loss not in LOSSES:
            raise ValueError(f"[components.{name}] loss = {loss!r} is none of {', '.join(map(repr, LOSSES))}")
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.cfg: dict[str, Any] = {
            "labels": [],
            "temperature": 1.0,
            "offsets": {},
            "scheme": scheme,
            "overwrite": overwrite,
            "annotate_ents": annotate_ents,
            "spans_key": spans_key,
            "threshold": threshold,
            "sentence_boundaries": sentence_boundaries,
            "loss": loss,
        }

    @property
    def labels(self) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): The entity types, in the order of the model's outputs."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): What `spacy init labels` writes and `initialize` takes as `labels`."""
        return self.labels

    @property
    def tags(self) -> list[str]:
        """RETURNS (list[str]): The model's outputs, `O` first."""
        return self.lattice.tags

    @property
    def lattice(self) -> Lattice:
        """RETURNS (Lattice): The legal tag sequences."""
        return _lattice(self.cfg["scheme"], self.labels)

    def add_label(self, label: str) -> int:
        """Add an entity type; an initialized model gets outputs for it and keeps the others.

        label (str): The type.
        RETURNS (int): 1, or 0 where it was there already.
        RAISES: ValueError where the label is no text or is empty.
        """
        if not isinstance(label, str) or not label:
            raise ValueError(f"Component {self.name!r}: an entity type must be a non-empty text, not {label!r}")
        if label in self.labels:
            return 0
        self.cfg["labels"].append(label)
        self.vocab.strings.add(label)
        self.set_output(len(self.tags))
        return 1

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Find the labels and the model's dimensions.

        get_examples (Callable[[], Iterable[Example]]): Gives a representative sample of the training data.
        nlp (Language | None): The pipeline.
        labels (Sequence[str] | None): Entity types, as `spacy init labels` writes them; by default those of the
            examples, sorted.
        RAISES: ValueError where there is neither a label nor an example with an entity, or no transformer to listen to.
        """
        if nlp is not None:
            require_upstream(self.model, nlp, self.name)
            record(nlp)
        validate_get_examples(get_examples, "BertNER.initialize")
        if labels is None:
            labels = sorted({ent.label_ for eg in get_examples() for ent in eg.reference.ents})
        if isinstance(labels, str) or not isinstance(labels, Sequence):
            raise ValueError(
                f"[initialize.components.{self.name}] labels = {labels!r}: expected a list of entity types"
            )
        for label in labels:
            self.add_label(label)
        if not self.labels:
            raise ValueError(
                f"Component {self.name!r} found no entity type: the training data hold no entities and "
                "[initialize.components.bert_ner] names no labels. Check that doc.ents is set in the training data "
                "(`python -m spacy bert-ner debug CONFIG`)."
            )
        docs = [eg.predicted for eg in islice(get_examples(), 10) if len(eg.predicted)]
        if not docs:
            raise ValueError(f"Component {self.name!r}: the first ten documents of the training data have no tokens")
        self.set_output(len(self.tags))
        require_transformer(self.model, self.name)
        self.model.initialize(X=docs)

    # From nlp.pipe to doc.ents:
    #   pipe ─► annotate_stream: batches of documents; one that fails takes no other with it
    #     predict
    #       decode: model.predict: words ─► pieces ─► windows ─► encoder ─► logits;  best legal tags of every document
    #       judge: posteriors of the entities ─► calibrated confidences
    #     set_annotations: doc.ents, doc.spans["bert_ner"]

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Find the entities of a stream of documents; one that fails takes no other with it (see annotate_stream).

        stream (Iterable[Doc]): The documents.
        batch_size (int): How many of them are predicted together.
        YIELDS (Doc): The documents, in order.
        """
        yield from annotate_stream(self, stream, batch_size)

    def predict(self, docs: Iterable[Doc]) -> list[Prediction]:
        """Find the entities of a batch of documents without changing them.

        docs (Iterable[Doc]): The documents.
        RETURNS (list[Prediction]): Each document's entities and their confidences.
        """
        docs = list(docs)
        if not any(len(doc) for doc in docs):
            return [Prediction.empty() for _ in docs]
        batch = self.decode(docs)
        judged = batch.judge(self.cfg["temperature"], self.cfg["offsets"])
        runner_up = judged.runner_up
        kept = np.flatnonzero(judged.score >= self.cfg["threshold"])
        bounds = np.searchsorted(batch.doc[kept], np.arange(len(docs) + 1))
        return [
            self._describe(doc, batch, judged, runner_up, kept[start:end])
            for doc, start, end in zip(docs, bounds, bounds[1:], strict=False)
        ]

    def decode(self, docs: Sequence[Doc]) -> DecodedBatch:
        """Compute every token's logits and find the best legal tags.

        docs (Sequence[Doc]): The documents, at least one with a token.
        RETURNS (DecodedBatch): The batch, its entities not yet judged.
        """
        require_transformer_output(self.model, docs, self.name)
        scores = self.model.predict(list(docs))
        # Where several pieces of a word are scored, its first one decides.
        lengths = np.asarray(scores.lengths)
        of_tokens = np.asarray(self.model.ops.to_numpy(scores.dataXd))[np.cumsum(lengths) - lengths]
        return DecodedBatch.of(self.lattice, of_tokens, docs, by_sentence=self.cfg["sentence_boundaries"])

    def _describe(
        self,
        doc: Doc,
        batch: DecodedBatch,
        judged: Posteriors,
        runner_up: tuple[np.ndarray, np.ndarray],
        chosen: np.ndarray,
    ) -> Prediction:
        """Put together what was found in one document. chosen: (entities,) of the batch."""
        found = (Entity(int(batch.start[i]), int(batch.end[i]), self.labels[batch.spans.label[i]]) for i in chosen)
        trimmed = [trim_whitespace(doc, entity) for entity in found]
        kept = [k for k, entity in enumerate(trimmed) if entity.start < entity.end]
        chosen = chosen[kept]
        other, other_scores = runner_up
        return Prediction(
            [trimmed[k] for k in kept],
            judged.score[chosen].astype(np.float32),
            judged.any_label[chosen].astype(np.float32),
            ["" if i < 0 else self.labels[i] for i in other[chosen]],
            other_scores[chosen].astype(np.float32),
        )

    def set_annotations(self, docs: Iterable[Doc], scores: list[Prediction]) -> None:
        """Write entities to doc.ents and, with their confidences, to doc.spans.

        docs (Iterable[Doc]): The documents.
        scores (list[Prediction]): What `predict` found.
        """
        for doc, prediction in zip(docs, scores, strict=True):
            if self.cfg["annotate_ents"]:
                set_entities(doc, prediction.entities, overwrite=self.cfg["overwrite"])
            if self.cfg["spans_key"] is not None:
                set_spans(doc, prediction, self.cfg["spans_key"])

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch.

        examples (Iterable[Example]): The batch; tokens whose gold annotation is missing teach nothing.
        drop (float): Dropout rate.
        sgd (Optimizer | None): Optimizer, where the weights should move now.
        losses (dict[str, float] | None): Losses by component, added to.
        RETURNS (dict[str, float]): The losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "BertNER.update")
        if not any(len(eg.predicted) for eg in examples):
            return losses
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update([eg.predicted for eg in examples])
        loss, d_scores = self.get_loss(examples, scores)
        backprop(d_scores)
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] += loss
        return losses

    def get_loss(self, examples: Iterable[Example], scores: Ragged) -> tuple[float, Ragged]:
        """Compare scores with the gold tags, by the loss of the config.

        examples (Iterable[Example]): The batch.
        scores (Ragged): (rows, tags), rows per token.
        RETURNS (tuple[float, Ragged]): The loss in nats, and its gradient, zero where the gold tag is missing.
        RAISES: ValueError where the gold data hold an entity type that the component does not have.
        """
        examples = list(examples)
        tags = gold_tags(examples, self.lattice.scheme, self.labels, self.name)
        lengths = np.asarray(scores.lengths)
        rows: Any = scores.dataXd
        if self.cfg["loss"] == "sequence":
            # Where several pieces of a word are scored, its first one decides.
            first = self.model.ops.xp.asarray(np.cumsum(lengths) - lengths)
            sizes = np.array([len(eg.predicted) for eg in examples])
            loss, d_first = sequence_loss(self.lattice, rows[first], sizes, tags)
            d_tokens: Any = self.model.ops.xp.zeros_like(rows)
            d_tokens[first] = d_first
            return loss, Ragged(d_tokens, scores.lengths)
        loss, gradient = token_loss(rows, np.repeat(tags, lengths))
        d_rows: Any = gradient
        return loss, Ragged(d_rows, scores.lengths)

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Load the component from bytes; the settings of its config stay as they are. RETURNS: The component."""
        settings = {key: self.cfg[key] for key in SETTINGS}
        super().from_bytes(bytes_data, exclude=exclude)
        self._restore(settings)
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the component to a folder; the encoder's weights have a file of their own, encoder.safetensors."""
        with self._weights_in(Path(path)):
            super().to_disk(path, exclude=exclude)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Self:
        """Load the component from a folder; the settings of its config stay as they are. RETURNS: The component."""
        settings = {key: self.cfg[key] for key in SETTINGS}
        if "cfg" not in exclude:
            check_state_file(Path(path) / "cfg")
        with self._weights_in(Path(path)):
            super().from_disk(path, exclude=exclude)
        self._restore(settings)
        return self

    def _weights_in(self, folder: Path) -> AbstractContextManager[Any]:
        """Keep the encoder's weights, where there is an encoder, in a file beside the rest."""
        stack = ExitStack()
        shims: list[Any] = [shim for node in self.model.walk() for shim in node.shims if hasattr(shim, "weights_in")]
        for i, shim in enumerate(shims):
            name = f"encoder-{i}.safetensors" if i else "encoder.safetensors"
            stack.enter_context(shim.weights_in(folder / name))
        return stack

    def _restore(self, settings: dict[str, Any]) -> None:
        check_state(self.cfg, f"Component {self.name!r}")
        self.cfg.update(settings)
        outputs = self.model.get_dim("nO") if self.model.has_dim("nO") else None
        if outputs is not None and self.labels and outputs != len(self.tags):
            raise ValueError(
                f"Component {self.name!r}: the saved model has {outputs} outputs, but scheme "
                f"{self.cfg['scheme']!r} with the labels {', '.join(self.labels)} has {len(self.tags)} tags. Set "
                f"[components.{self.name}] scheme to what the model was trained with; where the labels are not those "
                "that it was trained with, copy the pipeline's folder anew."
            )


@lru_cache(maxsize=64)
def _lattice(scheme: str, labels: tuple[str, ...]) -> Lattice:
    """RETURNS (Lattice): The legal tag sequences, which take long to find for many labels."""
    return Lattice(get_scheme(scheme), labels)
