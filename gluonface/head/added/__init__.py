"""Losses that a head adds to its own: distillation of logits, and samples against earlier samples.

`added_losses` has the methods of `PartialFC`, `distillation` the step of the first one; that of the
second one is `bank.sample_pairs`.
"""
