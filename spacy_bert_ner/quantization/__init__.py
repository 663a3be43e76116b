"""Quantization: a trained pipeline's encoder to int8, and what that costs.

sample of texts ─► ranges of inputs, by each method ─► the method that changes tags least
                   which layers change them how much ─► those that cost F1 stay in floats ─► calibration anew
"""
