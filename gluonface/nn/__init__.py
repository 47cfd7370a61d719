"""Blocks that several backbone families share."""

from .activations import (
    FORMS,
    PReLU,
    bn_prelu_conv,
    prelu_form,
    set_prelu_form,
    without_onednn,
)
from .attention import CBAM, ECA, GCT, SE
from .heads import GDC, FlatBatchNorm

__all__ = [
    "CBAM",
    "ECA",
    "FORMS",
    "GCT",
    "GDC",
    "SE",
    "FlatBatchNorm",
    "PReLU",
    "bn_prelu_conv",
    "prelu_form",
    "set_prelu_form",
    "without_onednn",
]
