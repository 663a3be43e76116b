"""Corpora: column files or rows become documents of sentences, and those become Docs; what is wrong is an error.

source ──► splits ──► documents ──► Doc ──► train.spacy, dev.spacy, test.spacy
splits.py finds the files; columns/, rows.py and hub.py read them; documents.py writes Docs
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
