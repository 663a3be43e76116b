"""Corpora: column files or rows -> documents of sentences -> Doc, and nothing that is wrong gets through.

source ──► splits ──► documents ──► Doc ──► train.spacy, dev.spacy, test.spacy
sources.py finds them; columns.py, rows.py and hub.py read them; documents.py writes them
"""

from .columns.reading import read_columns
from .documents import CorpusError, Document, Sentence, Splits, make_doc, save_docs, write_docs
from .hub import HubCorpus, load_hub
from .rows import Rows, dataset_rows, parquet_rows, read_rows
from .splits import SPLITS, SplitFiles, find_splits, read_corpus
from .statistics import summary_table

__all__ = [
    "SPLITS",
    "CorpusError",
    "Document",
    "HubCorpus",
    "Rows",
    "Sentence",
    "SplitFiles",
    "Splits",
    "dataset_rows",
    "find_splits",
    "load_hub",
    "make_doc",
    "parquet_rows",
    "read_columns",
    "read_corpus",
    "read_rows",
    "save_docs",
    "summary_table",
    "write_docs",
]
