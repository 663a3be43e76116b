"""Trained pipelines as wheels."""
