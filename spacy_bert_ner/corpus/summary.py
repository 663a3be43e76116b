"""What a corpus holds, counted."""

from collections import Counter
from collections.abc import Mapping, Sequence

from wasabi import table

from spacy_bert_ner.corpus.documents import Document

MEASURES = ("documents", "sentences", "tokens", "entities")


def count(documents: Sequence[Document]) -> dict[str, int]:
    """Count a split. RETURNS (dict[str, int]): The four measures, then the entities of each type by name."""
    sentences = [sentence for document in documents for sentence in document.sentences]
    types = Counter(entity.label for sentence in sentences for entity in sentence.entities)
    totals = (len(documents), len(sentences), sum(len(sentence.tokens) for sentence in sentences), types.total())
    return {**dict(zip(MEASURES, totals, strict=True)), **{f"  {label}": types[label] for label in sorted(types)}}


def summary_table(splits: Mapping[str, Sequence[Document]]) -> str:
    """Lay the counts out, a column per split: documents, sentences, tokens, entities, and entities by type.

    splits (Mapping[str, Sequence[Document]]): The documents of each split.
    RETURNS (str): The table, several lines.
    """
    counts = {name: count(documents) for name, documents in splits.items()}
    labels = sorted({key for counted in counts.values() for key in counted} - set(MEASURES))
    rows = [(key, *(f"{counts[name].get(key, 0):,}" for name in splits)) for key in (*MEASURES, *labels)]
    return table(rows, header=("", *splits), divider=True, aligns=("l", *"r" * len(splits)))
