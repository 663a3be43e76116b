"""Pipelines that compute by ONNX Runtime, without torch: what `export` has written, as spaCy runs it.

docs ─► pieces, windows (encoder/) ─► encoder.onnx ─► vectors ─► means of recurring words ─► head.onnx ─► logits
                                      padding.py                  words_to_score.py
"""
