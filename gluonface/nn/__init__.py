"""Blocks that several backbone families share."""

from .activations import PReLU, ReLU6, Swish, bn_prelu_conv, set_prelu_form
from .attention import CBAM, ECA, GCT, SE, gate, means
from .backend import (
    FORMS,
    computing_on,
    in_blocks,
    is_export,
    our_operators,
    prelu_form,
    without_onednn,
)
from .chain import Chain, Conv2D, ConvBN, Layers, conv, in_order
from .heads import GDC, FCHead, FlatBatchNorm, MobileHead

__all__ = [
    "CBAM",
    "ECA",
    "FORMS",
    "GCT",
    "GDC",
    "SE",
    "Chain",
    "Conv2D",
    "ConvBN",
    "FCHead",
    "FlatBatchNorm",
    "Layers",
    "MobileHead",
    "PReLU",
    "ReLU6",
    "Swish",
    "bn_prelu_conv",
    "computing_on",
    "conv",
    "gate",
    "in_blocks",
    "in_order",
    "is_export",
    "means",
    "our_operators",
    "prelu_form",
    "set_prelu_form",
    "without_onednn",
]
