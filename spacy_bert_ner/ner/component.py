"""The `bert_ner` component: entities from per-token logits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model
from thinc.types import Ragged

from spacy_bert_ner.storage.provenance import record

from .annotations import DocEntities, install_extension, set_entities, set_spans
from .component_settings import ComponentScheme, ComponentSettings, Loss
from .decoded import DecodedBatch, tag_logits
from .gold import gold_tags
from .keeping import Keeping
from .labels import find_labels
from .losses import loss_of_rows
from .standin import register_standin
from .state import CheckedPipe, new_state
from .streaming import annotate_stream
from .teacher import Teacher
from .teaching import Batch, Teaching
from .upstream import require_transformer, require_upstream

DEFAULT_CONFIG = """
[bert_ner]
scheme = "BIO"
overwrite = false
annotate_ents = true
spans_key = "bert_ner"
threshold = 0.0
keep_promise = true
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
    scheme: ComponentScheme,
    overwrite: bool,
    annotate_ents: bool,
    spans_key: str | None,
    threshold: float,
    keep_promise: bool,
    sentence_boundaries: bool,
    loss: Loss,
    scorer: Callable | None,
) -> "BertNER":
    """Make a `bert_ner` component.

    model (Model[list[Doc], Ragged]): Documents to logits: see head.build_token_classifier.
    scheme (str): Tag scheme, "BIO" or "BILUO".
    overwrite (bool): Whether to replace entities set earlier in the pipeline. Otherwise they stay, and what
        overlaps them is dropped.
    annotate_ents (bool): Whether to write doc.ents at all; otherwise spans_key is the only output, for pipelines in
        which doc.ents belongs to another component.
    spans_key (str | None): Where in doc.spans entities and their confidences go; null switches that off.
    threshold (float): Entities of a lower confidence are dropped: their tokens are outside.
    keep_promise (bool): Whether the thresholds that `calibrate --precision` or `--recall` has found decide which
        entities are set, beside `threshold`.
    sentence_boundaries (bool): Whether sentence starts that the document has, from a component upstream, end entities.
    loss (str): What training minimises: "token", the cross-entropy of each token's tag by itself, or "sequence", the
        negative log-likelihood of the whole tag sequence among all legal ones, for which the first piece of each word
        counts.
    scorer (Callable | None): How `nlp.evaluate` scores the component; by default as spaCy does, and from raw text apart
        where a corpus gives documents in that form too.
    """
    settings = ComponentSettings(
        scheme=scheme,
        overwrite=overwrite,
        annotate_ents=annotate_ents,
        spans_key=spans_key,
        threshold=threshold,
        keep_promise=keep_promise,
        sentence_boundaries=sentence_boundaries,
        loss=loss,
    )
    return BertNER(nlp.vocab, model, name, settings=settings, scorer=scorer)


class BertNER(CheckedPipe):
    """Named-entity recogniser over per-token logits.

    vocab (Vocab): The pipeline's vocabulary.
    model (Model[list[Doc], Ragged]): Documents to logits.
    name (str): The component's name in the pipeline.
    settings (ComponentSettings): What its config decides, at every load.
    scorer (Callable | None): How `nlp.evaluate` scores the component.
    RAISES: ValueError for a setting out of range.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[list[Doc], Ragged],
        name: str = "bert_ner",
        *,
        settings: ComponentSettings = ComponentSettings(),  # noqa: B008
        scorer: Callable | None = None,
    ) -> None:
        settings.check(f"components.{name}")
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        # What losses are divided by, for the annotated rows that `update` sees: more where it sees a part of a batch.
        self.rows_of_batch: Callable[[int], int] = int
        # What `update` learns from in place of gold tags alone; never saved.
        self.teaching: Teaching | None = None
        self.settings = settings
        self.cfg = new_state(settings)

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

    def keep_labels(self, annotated: Sequence[str] | None = None, teacher: Teacher | None = None) -> None:
        """Let training keep what is known of labels wherever its data say nothing of them: call it before training.

        From then on the data's `O` means "none of the annotated labels", and for all others the component learns what a
        teacher predicts. Evaluation leaves out predicted entities of labels of which the gold data say nothing.

        annotated (Sequence[str] | None): The labels that the data are annotated with, all of their entities; by default
            those that the teacher does not know.
        teacher (Teacher | None): What is kept; by default the component as it is now.
        RAISES: ValueError where the component has no labels yet, or reads what another component computes.
        """
        self.teaching = Keeping(teacher or Teacher.copy_of(self), None if annotated is None else tuple(annotated))

    def score(self, examples: Iterable[Example], **settings: Any) -> dict[str, Any]:
        """Score predicted entities, as the config's scorer does.

        examples (Iterable[Example]): The documents.
        settings (Any): What the scorer takes.
        RETURNS (dict[str, Any]): The scores.
        """
        if isinstance(self.teaching, Keeping):
            examples = self.teaching.scorable(list(examples))
        return super().score(examples, **settings)

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
        for label in find_labels(get_examples, labels, self.labels, self.name):
            self.add_label(label)
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
    #       extend: for a promised recall, further spans that are probable enough
    #       judge: posteriors of the entities ─► calibrated confidences
    #     set_annotations: doc.ents, doc.spans["bert_ner"]

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Find the entities of a stream of documents; one that fails takes no other with it (see annotate_stream).

        stream (Iterable[Doc]): The documents.
        batch_size (int): How many of them are predicted together.
        YIELDS (Doc): The documents, in order.
        """
        yield from annotate_stream(self, stream, batch_size)

    def predict(self, docs: Iterable[Doc]) -> list[DocEntities]:
        """Find the entities of a batch of documents without changing them.

        docs (Iterable[Doc]): The documents.
        RETURNS (list[DocEntities]): Each document's entities and their confidences.
        """
        docs = list(docs)
        if not any(len(doc) for doc in docs):
            return [DocEntities.empty() for _ in docs]
        batch, temperature, offsets = self.decode(docs), self.cfg["temperature"], self.cfg["offsets"]
        promise = self.promise if self.settings.keep_promise else None
        least = np.full(len(self.labels), self.settings.threshold)
        if promise is not None and promise.measure == "precision":
            least = np.maximum(least, promise.floors(self.labels))
        elif promise is not None:
            batch = batch.extend(promise.floors(self.labels), promise.longest, temperature, offsets)
        return batch.split(docs, batch.judge(temperature, offsets), least)

    def decode(self, docs: Sequence[Doc]) -> DecodedBatch:
        """Compute every token's logits and find the best legal tags.

        docs (Sequence[Doc]): The documents, at least one with a token.
        RETURNS (DecodedBatch): The batch, its entities not yet judged.
        """
        logits = tag_logits(self.model, docs, self.name)
        return DecodedBatch.of(self.lattice, logits, docs, by_sentence=self.settings.sentence_boundaries)

    def set_annotations(self, docs: Iterable[Doc], scores: list[DocEntities]) -> None:
        """Write entities to doc.ents and, with their confidences, to doc.spans.

        docs (Iterable[Doc]): The documents.
        scores (list[DocEntities]): What `predict` found.
        """
        for doc, prediction in zip(docs, scores, strict=True):
            if self.settings.annotate_ents:
                set_entities(doc, prediction.disjoint, overwrite=self.settings.overwrite)
            if self.settings.spans_key is not None:
                set_spans(doc, prediction, self.settings.spans_key)

    def get_loss(self, examples: Iterable[Example], scores: Ragged) -> tuple[float, Ragged]:
        """Compare logits with the gold tags, by the loss of the config, or with what `teaching` says.

        examples (Iterable[Example]): The batch; tokens whose gold annotation is missing teach nothing.
        scores (Ragged): Logits. (rows, tags), rows per token
        RETURNS (tuple[float, Ragged]): The loss in nats, and its gradient, zero where the gold tag is missing.
        RAISES: ValueError where the gold data hold an entity type that the component does not have.
        """
        examples = list(examples)
        tags = gold_tags(examples, self.lattice.scheme, self.labels, self.name)
        if self.teaching is not None:
            batch = Batch(self.settings.loss, self.lattice, scores, examples, tags, self.rows_of_batch)
            return self.teaching.learn(batch)
        sizes = [len(eg.predicted) for eg in examples]
        return loss_of_rows(self.settings.loss, self.lattice, scores, sizes, tags, self.rows_of_batch)
