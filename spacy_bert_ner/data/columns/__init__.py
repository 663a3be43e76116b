"""A token a line: column files, CSV, CoNLL-U, WebAnno."""
