"""Embeddings of each class that are kept beside its centre, and the losses that compare with them.

`embedding_bank` keeps the rows, `two_anchors` is the step of LVFace's loss.
"""
