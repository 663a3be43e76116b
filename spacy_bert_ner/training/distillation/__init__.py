"""Distillation: a student learns from the distributions over tags that teachers give to its corpus and to other texts.

corpus, texts ─► teachers ─► targets      made once, before training: a file of float16, read as a memory map
                 corpus, texts ─► batches each document carries the row in that file at which its tokens begin
                                  student's loss: teacher's distributions, and gold tags where there are some

The corpus is in memory, as in other training; the texts are streamed, anew in each epoch.
"""
