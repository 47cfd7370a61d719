"""PReLU with one slope per channel (He et al., 2015), with right gradients and fast on CPUs.

MXNet's own PReLU (`LeakyReLU` with ``act_type="prelu"``), here the form "plain", is what other
tools read. It is not for training:

- In a hybridized network the gradient of its slopes is too large by a factor of the slope if the
  gradient that arrives is in MXNet's default memory layout. The operator then writes the gradient
  of its input over it before the slopes' gradient is computed from it (MXNet 1.9.1). GPUs have no
  other layout. oneDNN's layouts hide the fault on CPUs.
- On a CPU it takes most of the time in which a mobile network trains: it is not vectorised and
  leaves oneDNN's blocked layout.

The form "elementwise" is composed of MXNet's elementwise operators, for GPUs and for whatever
oneDNN lacks. The form "fast", for CPUs, is one operator of our own (`gluonface.native`). All forms
have the same parameter and compute the same function.

Where our operators cannot be compiled, "fast" is composed of oneDNN's operators. `PReLU` alone
adds two depthwise 1x1 convolutions, ``(1 - a) relu(x)`` and ``a x``. Between a BatchNorm and a
convolution `bn_prelu_conv` composes it of two BatchNorms, which is faster; `in_order` calls it.
"""

from __future__ import annotations

import math

import numpy

from .._compat import mx
from .backend import amp_is_on, check_form, current_form, has_onednn, our_operators, without_onednn

__all__ = ["PReLU", "ReLU6", "Swish", "bn_prelu_conv", "set_prelu_form"]

# Added to 1 - a, so that the slope has a gradient where that is 0. Too small to change any other
# 1 - a or a sum with the activations, and large enough not to underflow.
_TINY = 1e-20


def set_prelu_form(net: mx.gluon.Block, form: str) -> None:
    """Change the form of every PReLU in `net`, in place. Its parameters do not change.

    Parameters
    ----------
    net : HybridBlock
        If it is hybridized, it is traced again at the next call.
    form : {"fast", "elementwise", "plain"}
    """
    check_form(form)

    def change(block):
        if isinstance(block, PReLU):
            block.form = form
        if isinstance(block, mx.gluon.HybridBlock):
            block._clear_cached_op()

    net.apply(change)


class ReLU6(mx.gluon.HybridBlock):
    """``x`` limited to 0..6."""

    def hybrid_forward(self, F, x):
        """Return the activation of `x`, same shape."""
        ours = our_operators(F)
        return F.clip(x, 0, 6) if ours is None else ours.relu6(x)


class Swish(mx.gluon.HybridBlock):
    """``x * sigmoid(x)`` (Ramachandran et al., 2017, https://arxiv.org/abs/1710.05941)."""

    def hybrid_forward(self, F, x):
        """Return the activation of `x`, same shape."""
        ours = our_operators(F)
        if ours is not None:
            return ours.product(x, F.Activation(x, act_type="sigmoid"))
        return F.elemwise_mul(x, F.sigmoid(x))


class PReLU(mx.gluon.HybridBlock):
    """``x`` where it is positive, ``alpha * x`` elsewhere, with one slope per channel.

    Parameters
    ----------
    channels : int
        Size of the second axis of the input.
    form : {"fast", "elementwise", "plain"}, default "fast"
        How it is computed: "fast" on a CPU, "elementwise" on a GPU, "plain" (MXNet's operator)
        for export and inference. The parameter is ``alpha (channels,)`` in each. Outputs are equal
        up to rounding, and so are gradients, but for MXNet's fault in "plain".
    start : float, default 0.25
        Initial slope (the paper's value).
    shared : bool, default False
        Whether all channels have one slope, ``alpha (1,)``.

    References
    ----------
    He et al., Delving Deep into Rectifiers, https://arxiv.org/abs/1502.01852
    """

    def __init__(
        self,
        channels: int,
        form: str = "fast",
        start: float = 0.25,
        shared: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels = channels
        self.shared = shared
        self.form = check_form(form)
        with self.name_scope():
            self.alpha = self.params.get(
                "alpha", shape=(1 if shared else channels,), init=mx.initializer.Constant(start)
            )

    @property
    def active_form(self) -> str:
        """Form in use now: that of `prelu_form`, or else the block's own."""
        return current_form(self.form)

    def hybrid_forward(self, F, x, alpha):
        """Return the activation of `x` (N, channels, H, W), same shape."""
        form = self.active_form
        if form == "plain":
            return F.LeakyReLU(x, gamma=alpha, act_type="prelu")
        if form == "elementwise":
            positive = F.relu(x)
            slope = F.reshape(alpha, (1, -1, 1, 1))
            return positive + F.broadcast_mul(x - positive, slope)
        ours = our_operators(F)
        if ours is not None:
            return ours.prelu(x, alpha)
        # Times 1, because a reshaped array shares memory: run eagerly, inference would turn alpha
        # into a layout of oneDNN's, as it does with every convolution's weight.
        slope = F.reshape(self.slopes(F, alpha), (-1, 1, 1, 1)) * 1
        kwargs = {
            "kernel": (1, 1),
            "num_filter": self.channels,
            "num_group": self.channels,
            "no_bias": True,
        }
        positive = F.Convolution(F.Activation(x, act_type="relu"), 1 - slope, **kwargs)
        return F.elemwise_add(positive, F.Convolution(x, slope, **kwargs))

    def slopes(self, F, alpha):
        """Return one slope per channel (channels,)."""
        return F.broadcast_axis(alpha, axis=0, size=self.channels) if self.shared else alpha

    def __repr__(self):
        return f"PReLU({self.channels}, form={self.form!r})"


def bn_prelu_conv(F, x, bn, prelu, conv, source=None):
    """Return ``conv(prelu(bn(x)))`` from within a `hybrid_forward`.

    With the operators of `gluonface.native` it is computed as it is written.

    Without them, let ``v = bn(x)``. For slopes ``a <= 1``, ``prelu(v) = a v + relu((1 - a) v)``: a
    BatchNorm and a BatchNorm with ReLU of the same `x`, whose gammas and betas are scaled. For
    ``a > 1`` the same two terms with ``|1 - a|`` and ``-a`` give ``-prelu(v)``, and the
    convolution's weight for that channel takes the sign. Both operators keep the running
    statistics, the same ones, so each gets the square root of the momentum: two such updates are
    one of the whole. The blocks are not called, so hooks on them do not run.

    Parameters
    ----------
    F : module
        `mxnet.nd` or `mxnet.sym`.
    x : NDArray or Symbol
        (N, C, H, W), the input of `bn`.
    bn : mxnet.gluon.nn.BatchNorm
    prelu : PReLU
        Its `active_form` decides how this is computed.
    conv : mxnet.gluon.nn.Conv2D
        Without bias or activation.
    source : mxnet.gluon.nn.Conv2D, optional
        The convolution whose output `x` is; default one with numbers of channels like `conv`.
        The backward pass of BatchNormWithReLU fails where oneDNN blocks the channels of its output
        otherwise than those of the gradient that comes back from `conv` (MXNet 1.9.1); `PReLU` is
        computed alone there.
    """
    if prelu.active_form != "fast" or our_operators(F) or _blocks_differ(source, conv):
        return conv(prelu(bn(x)))
    if not _can_fuse(bn, prelu, conv):
        with without_onednn():
            return conv(prelu(bn(x)))
    slope = prelu.slopes(F, _value(F, prelu.alpha, x))
    gamma, beta = _value(F, bn.gamma, x), _value(F, bn.beta, x)
    weight = _value(F, conv.weight, x)
    rest = 1 - slope + _TINY
    sign = F.stop_gradient(F.sign(rest))
    gamma, beta = gamma * sign, beta * sign
    statistics = (_value(F, bn.running_mean, x), _value(F, bn.running_var, x))
    kwargs = {**bn._kwargs, "momentum": math.sqrt(bn._kwargs["momentum"])}
    y = F.elemwise_add(
        F.BatchNorm(x, gamma * slope, beta * slope, *statistics, **kwargs),
        F.contrib.BatchNormWithReLU(x, gamma * rest, beta * rest, *statistics, **kwargs),
    )
    return F.Convolution(y, _signed(F, weight, sign, conv), **conv._kwargs)


def _signed(F, weight, sign, conv):
    """Return a convolution's weight with the sign of each of its input channels."""
    shape = (1, -1, 1, 1) if conv._kwargs["num_group"] == 1 else (-1, 1, 1, 1)  # or depthwise
    return F.broadcast_mul(weight, F.reshape(sign, shape))


def _value(F, parameter, x):
    """Return a parameter of another block as an NDArray or Symbol, whichever `x` is."""
    return parameter.data(x.context) if F is mx.nd else parameter.var()


def _can_fuse(bn, prelu, conv):
    """Return whether the operators of the composed "fast" form exist for these blocks."""
    settings = bn._kwargs
    return (
        has_onednn()
        and numpy.dtype(prelu.alpha.dtype) == numpy.float32
        and not amp_is_on()  # it has no rule for BatchNormWithReLU
        and settings["axis"] == 1
        and not settings["fix_gamma"]
        and not settings["use_global_stats"]
        and conv._kwargs["no_bias"]
        and conv.act is None
    )


def _blocks_differ(source, conv):
    """Return whether oneDNN lays out a convolution's output and its gradient in other blocks."""
    blocks = {_channel_block(conv), 16 if source is None else _channel_block(source)}
    if None in blocks:
        return True
    # Without blocks of 16 before `conv` both are laid out alike.
    return blocks == {8, 16} and conv.weight.shape[1] * conv._kwargs["num_group"] % 16 == 0


def _channel_block(conv):
    """Return how many channels lie together in oneDNN's layout for a convolution, or 0.

    None for a grouped convolution, where it is not known. These are the blocks with AVX-512. With
    AVX2 there are none of 16, and what `_blocks_differ` allows works too.
    """
    groups, (outputs, inputs) = conv._kwargs["num_group"], conv.weight.shape[:2]
    if groups > 1:
        if groups != outputs or inputs != 1:
            return None
        inputs = outputs  # depthwise
    if inputs < 16:
        inputs = outputs  # too few to matter
    return next((n for n in (16, 8) if inputs % n == outputs % n == 0), 0)
