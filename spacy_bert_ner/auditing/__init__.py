"""Audits of annotation: out-of-fold posteriors, ranked doubts, and files for those who correct."""
