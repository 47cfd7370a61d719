"""Blocks that several backbone families share."""

from .activations import (
    FORMS,
    PReLU,
    bn_prelu_conv,
    prelu_form,
    set_prelu_form,
    without_onednn,
)
from .heads import GDC, FlatBatchNorm

__all__ = [
    "FORMS",
    "GDC",
    "FlatBatchNorm",
    "PReLU",
    "bn_prelu_conv",
    "prelu_form",
    "set_prelu_form",
    "without_onednn",
]
