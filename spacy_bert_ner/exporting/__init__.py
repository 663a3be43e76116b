"""Trained pipelines as graphs of ONNX, for exported/ to run: network_graph.py and head_graph.py write them by hand.

Not by torch's exporter: the packed network loops over groups of windows, which no graph can, and what is written here
is the same for every version of torch, of standard operators alone.
"""
