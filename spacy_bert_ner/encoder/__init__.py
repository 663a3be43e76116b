"""The encoder: documents to word-piece vectors, by a Hugging Face transformer.

docs ─► pieces (pieces.py) ─► windows (windows.py) ─► batches ─► transformer (packed.py, shim.py) ─► vectors
        words' own piece ids   cut and overlapping    by length   attention.py, casing.py, precision.py per doc
"""
