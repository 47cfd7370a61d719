"""Blocks that several backbone families share."""

from .activations import PReLU, ReLU6, Swish, bn_prelu_conv, set_prelu_form
from .attention import CBAM, ECA, GCT, SE, gate
from .chain import Chain, ConvBN, MobileHead
from .forms import FORMS, computing_on, is_export, our_operators, prelu_form, without_onednn
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
    "computing_on",
    "gate",
    "is_export",
    "our_operators",
    "prelu_form",
    "set_prelu_form",
    "without_onednn",
]
