"""The step of binary losses, which need no sum over the classes of other ranks.

`step` is the step over all ranks, `terms` a rank's classes on a CPU, `device_terms` on a GPU.
"""
