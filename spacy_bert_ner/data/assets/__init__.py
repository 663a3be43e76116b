"""Corpora and encoders from elsewhere as plain files with a manifest."""
