"""A worker, in any engine's process: it loads the pipeline once and annotates shard after shard."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from spacy.language import Language
from spacy.tokens import Doc

from spacy_bert_ner.ner.streaming import batch_documents
from spacy_bert_ner.processors import trim_memory

from .conversion import Annotated, RecordError, find_entities, get_text, keep_fields
from .long_texts import split_text
from .output_options import ID, OutputOptions
from .outputs import Part, new_part
from .parquet import OutputColumns
from .records import AnnotatedShard, InputRecord
from .run_fingerprint import identify

# Read by the libraries below a pipeline when they are imported.
WORKER_ENVIRONMENT = {
    # Compute in one thread.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    # Of the library tokenizers.
    "TOKENIZERS_PARALLELISM": "false",
    # oneDNN compiles a program for every shape of matrices, half a MiB each, and keeps 1,024: over days a worker meets
    # as many shapes. The second is of torch's own store of their descriptions.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "96",
    "LRU_CACHE_CAPACITY": "96",
}
# Words after which a worker gives freed memory back: the C library keeps it, and it grows by what cannot be used again.
TRIM_AFTER = 200_000


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker needs to start.

    model (str): Folder or package of the pipeline, on the worker's machine.
    columns (OutputColumns | None): Parquet's.
    code (str | None): Python file with registered functions to import.
    gpu_id (int): GPU, or -1 for the CPU.
    """

    model: str
    options: OutputOptions
    columns: OutputColumns | None = None
    code: str | None = None
    gpu_id: int = -1


@dataclass
class _Text:
    """A record in the pipeline: its text, its pieces, and the first error."""

    record: InputRecord
    text: str
    starts: list[int]
    docs: list[Doc | None]
    error: str = ""


class AnnotationWorker:
    """Annotates shards."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._options, self._columns = settings.options, settings.columns
        self._nlp = load_worker_pipeline(settings)
        self.identity = identify(settings.model)
        self._max_characters = min(self._options.max_characters, self._nlp.max_length)
        self._knows_words = False
        self._words_since_trim = 0

    def annotate(
        self, number: int, records: Sequence[InputRecord], quarantined: Mapping[int, str], one_by_one: bool
    ) -> AnnotatedShard:
        """Annotate a shard.

        number (int): The shard's.
        quarantined (Mapping[int, str]): By index, the records to leave out, and why.
        one_by_one (bool): Whether each text is predicted by itself.
        RETURNS (AnnotatedShard): Its file, counts and failures.
        """
        shard = AnnotatedShard(number)
        # Without a memory zone, the strings of all shards would accumulate in the vocabulary. Those of the first do, as
        # most words of the others are among them, and making them anew for every shard takes a twentieth of the time.
        with self._nlp.memory_zone() if self._knows_words else nullcontext():
            part = new_part(self._options, self._columns)
            texts: dict[int, _Text] = {}
            for i, record in enumerate(records):
                if i not in quarantined:
                    texts[i] = self._tokenize(record)
            self._predict([text for text in texts.values() if not text.error], one_by_one)
            for i, record in enumerate(records):
                error = quarantined.get(i) or texts[i].error or self._write(texts[i], part, shard)
                if error:
                    shard.failures.append({"place": record.place, "error": error, "record": record.fields})
            shard.content = part.to_bytes()
        self._knows_words = True
        self._words_since_trim += shard.words
        if self._words_since_trim >= TRIM_AFTER:
            trim_memory()
            self._words_since_trim = 0
        return shard

    def probe(self, record: InputRecord) -> None:
        """Annotate a text by itself, only to see whether it kills the process."""
        with self._nlp.memory_zone():
            text = self._tokenize(record)
            if not text.error:
                self._predict([text], one_by_one=True)

    def _tokenize(self, record: InputRecord) -> _Text:
        try:
            text = get_text(record, self._options)
        except RecordError as error:
            return _Text(record, "", [], [], str(error))
        pieces = list(split_text(text, self._max_characters))
        try:
            docs: list[Doc | None] = [self._nlp.make_doc(piece.text) for piece in pieces]
        except Exception as error:
            return _Text(record, text, [], [], describe_failure(error))
        return _Text(record, text, [piece.start for piece in pieces], docs)

    def _predict(self, texts: Sequence[_Text], one_by_one: bool) -> None:
        """Run the pipeline over the pieces of texts, in batches of similar length; note what fails."""
        queue = [(text, i) for text in texts for i in range(len(text.docs))]
        # The sort is stable, so that batches depend on the shard alone.
        queue.sort(key=lambda item: len(item[0].docs[item[1]] or ()))
        for items in self._batches(queue, 1 if one_by_one else self._options.batch_words):
            docs = [doc for text, i in items if (doc := text.docs[i]) is not None]
            results: list[Doc | None]
            try:
                results = list(self._nlp.pipe(docs, batch_size=len(docs)))
            except Exception:
                results = []
            if len(results) != len(docs):
                # They may be partly annotated: each is made again and predicted by itself.
                results = [self._alone(text, i) for text, i in items]
            for (text, i), doc in zip(items, results, strict=True):
                text.docs[i] = doc

    def _batches(self, queue: Sequence[tuple[_Text, int]], words: int) -> Iterator[list[tuple[_Text, int]]]:
        docs = (doc for text, i in queue if (doc := text.docs[i]) is not None)
        start = 0
        for batch in batch_documents(docs, len(queue), words):
            yield list(queue[start : start + len(batch)])
            start += len(batch)

    def _alone(self, text: _Text, i: int) -> Doc | None:
        ends = [*text.starts[1:], len(text.text)]
        try:
            docs = list(self._nlp.pipe([text.text[text.starts[i] : ends[i]]]))
        except Exception as error:
            text.error = text.error or describe_failure(error)
            return None
        if not docs:
            text.error = text.error or "the pipeline's error handler left it out"
        return docs[0] if docs else None

    def _write(self, text: _Text, part: Part, shard: AnnotatedShard) -> str:
        """Add a document to a shard's file and counts. RETURNS (str): The error; "" where there is none."""
        docs = [doc for doc in text.docs if doc is not None]
        fields = keep_fields(text.record, self._options)
        entities = find_entities(docs, text.starts, self._options)
        own_id = fields[self._options.id_field or ID]
        own_id = text.record.place if own_id is None else own_id
        document = Annotated(own_id, text.text, fields, docs, entities)
        try:
            part.add(document)
        except RecordError as error:
            return str(error)
        shard.documents += 1
        shard.words += document.words
        shard.entities.update(entity.label for entity in entities)
        shard.unscored += sum(entity.confidence is None for entity in entities)
        return ""


def load_worker_pipeline(settings: WorkerSettings) -> Language:
    """Load a worker's pipeline, to compute in one thread."""
    os.environ.update(WORKER_ENVIRONMENT)
    import spacy
    from spacy.cli._util import import_code

    import_code(settings.code)
    if settings.gpu_id >= 0:
        spacy.require_gpu(settings.gpu_id)
    nlp = spacy.load(settings.model)
    # Only where the pipeline has imported it.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    return nlp


def describe_failure(error: BaseException) -> str:
    """RETURNS (str): An error's type and first lines."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}" if text else type(error).__name__
