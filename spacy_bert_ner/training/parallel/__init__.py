"""Data-parallel training: several processes, each of which learns from a part of every batch.

every process  the same batches ─► its part of the documents (balancing) ─► forward, backward
               losses are divided by the whole batch's tokens (divisor)
the group      gradients are summed, each process moves a slice of the parameters (exchange, partitioned_adamw)
rank 0         writes checkpoints and pipelines, and scores what all have predicted (shared_evaluation)

The optimizer's state is partitioned as in ZeRO (Rajbhandari et al. 2020): reduce-scatter of the gradients, a step on
the own slice, all-gather of the weights, which costs nothing where the weights are in shared memory (transports).
"""
