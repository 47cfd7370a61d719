"""The step of binary losses, which need no sum over the classes of other ranks.

`step` is the step over all ranks, `terms` the classes of one rank, and `device_terms` those on a GPU.
"""
