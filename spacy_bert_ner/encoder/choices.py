"""Settings that have few values, which spaCy checks where it reads a config. Nothing is imported for them."""

from typing import Literal

# What an encoder computes in: see precision.choose_dtype.
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
# Which of a word's pieces stand for it: see pooling.gather.
Pieces = Literal["first", "mean", "all"]
Pooling = Literal["first", "mean"]
