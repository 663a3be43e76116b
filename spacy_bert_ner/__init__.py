"""BERT named-entity recognition for spaCy pipelines.

Everything is found through entry points (see setup.cfg), so importing this package costs next to nothing.
"""

__version__ = "0.2.0"
