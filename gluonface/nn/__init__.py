"""Blocks that several backbone families share."""

from .activations import (
    FORMS,
    PReLU,
    ReLU6,
    Swish,
    bn_prelu_conv,
    is_export,
    prelu_form,
    set_prelu_form,
    without_onednn,
)
from .attention import CBAM, ECA, GCT, SE
from .chain import Chain, ConvBN, MobileHead
from .heads import GDC, FCHead, FlatBatchNorm

__all__ = [
    "CBAM",
    "ECA",
    "FORMS",
    "GCT",
    "GDC",
    "SE",
    "Chain",
    "ConvBN",
    "FCHead",
    "FlatBatchNorm",
    "MobileHead",
    "PReLU",
    "ReLU6",
    "Swish",
    "bn_prelu_conv",
    "is_export",
    "prelu_form",
    "set_prelu_form",
    "without_onednn",
]
