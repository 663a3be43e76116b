"""Formats with a token a line: column files, CSV, CoNLL-U, WebAnno."""
