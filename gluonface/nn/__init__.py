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
from .convnext import (
    LAST,
    SECOND,
    ChannelNorm,
    ConvNeXtBlock,
    LayerScale,
    PooledHead,
    channel_norm,
    downsample,
    patches,
)
from .heads import GDC, FCHead, FlatBatchNorm, MobileHead
from .transformer import MLP, SelfAttention, TransformerBlock, gelu, linear

__all__ = [
    "CBAM",
    "ECA",
    "FORMS",
    "GCT",
    "GDC",
    "LAST",
    "MLP",
    "SE",
    "SECOND",
    "Chain",
    "ChannelNorm",
    "Conv2D",
    "ConvBN",
    "ConvNeXtBlock",
    "FCHead",
    "FlatBatchNorm",
    "LayerScale",
    "Layers",
    "MobileHead",
    "PReLU",
    "PooledHead",
    "ReLU6",
    "SelfAttention",
    "Swish",
    "TransformerBlock",
    "bn_prelu_conv",
    "channel_norm",
    "computing_on",
    "conv",
    "downsample",
    "gate",
    "gelu",
    "in_blocks",
    "in_order",
    "is_export",
    "linear",
    "means",
    "our_operators",
    "patches",
    "prelu_form",
    "set_prelu_form",
    "without_onednn",
]
