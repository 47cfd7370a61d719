"""Backbones: aligned face images in, embeddings out. One file per family."""

from __future__ import annotations

import dataclasses
import importlib
import math
import numbers
import typing

from .._compat import mx
from ..errors import InputError
from ..gpus import check_gpu
from ..nn import FORMS
from ..registry import import_modules
from ._base import BACKBONES, Backbone, ModelCfg, register
from ._batch_norm import BatchNormSettings, set_batch_norms
from ._count import count_params

__all__ = [
    "BACKBONES",
    "Backbone",
    "ModelCfg",
    "count_params",
    "get_model",
    "list_models",
    "register",
]

MAX_EMBEDDING = 1 << 16

import_modules(__name__, __path__)  # the families register their backbones


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the backbones that match a shell wildcard, in natural order."""
    return BACKBONES.list(pattern)


def get_model(
    name: str,
    embedding_size: int | None = None,
    ctx: typing.Any = None,
    *,
    mean: float | None = None,
    scale: float | None = None,
    prelu: str = "auto",
    prefix: str | None = None,
    batch_norm: BatchNormSettings | None = None,
    initialize: bool = True,
) -> Backbone:
    """Build a backbone and initialise it as its paper does.

    Parameters
    ----------
    name : str
        A name or alias from `list_models`.
    embedding_size : int, optional
        Length of the embedding; the default is that of the published table.
    ctx : mxnet.Context or list of them, optional
        Where the parameters live; default `mx.cpu()`.
    mean, scale : float, optional
        Preprocessing inside the network, ``(x - mean) * scale`` of pixels 0..255;
        default 127.5 and 1/128 for most models.
    prelu : {"auto", "fast", "elementwise", "plain"}, default "auto"
        How PReLU is computed, see `gluonface.nn.PReLU`. "auto" is "fast" on CPUs and "elementwise"
        as soon as a context is a GPU. Parameters and results are the same. "plain", MXNet's own
        operator, is for inference: hybridized, its slopes can get wrong gradients.
    prefix : str, optional
        Prefix of the parameters' full names, as for every Gluon block.
    batch_norm : dict of str to dict, optional
        What the BatchNorms have that is not the architecture's, as imported weights may need it
        for training: ``{"*": {"eps": 0.001}, "head.bn2": {"eps": 2e-5, "fix_gamma": True}}``.
        ``"*"`` stands for all that do not say otherwise; a gamma with ``fix_gamma`` stays 1.
    initialize : bool, default True
        Whether the parameters get starting values. `load_weights` needs none, and to draw 65
        million takes 2 s.

    Returns
    -------
    Backbone
        A HybridBlock: images (N, 3, 112, 112), RGB, 0..255, float -> embeddings
        (N, embedding_size), not normalised. Its description is `net.cfg`.

    Raises
    ------
    InputError
        For an unknown name or form, an embedding size that is not a positive integer, a mean or
        scale that is no number, settings of a BatchNorm that is not there, something else than
        contexts, or a GPU that MXNet has no code for.
    """
    cfg, build = BACKBONES.get(name)
    if embedding_size is not None:
        whole = isinstance(embedding_size, numbers.Real) and not isinstance(embedding_size, bool)
        if not whole or not 1 <= embedding_size <= MAX_EMBEDDING or embedding_size % 1:
            raise InputError(
                f"embedding_size is {embedding_size!r}; expected a whole number "
                f"from 1 to {MAX_EMBEDDING}"
            )
        cfg = cfg.resized(int(embedding_size))
    changes = {k: v for k, v in (("mean", mean), ("scale", scale)) if v is not None}
    for key, value in changes.items():
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        real = real and math.isfinite(value)
        if not real or (key == "scale" and value == 0):
            raise InputError(
                f"{key} is {value!r}; expected one number for all colours"
                + (" that is not 0" if key == "scale" else "")
            )
    cfg = dataclasses.replace(cfg, **{key: float(value) for key, value in changes.items()})
    if prelu not in ("auto", *FORMS):
        raise InputError(f"prelu is {prelu!r}; expected one of auto, {', '.join(FORMS)}")
    contexts = ctx if isinstance(ctx, (list, tuple)) else [mx.cpu() if ctx is None else ctx]
    if not contexts or not all(isinstance(context, mx.Context) for context in contexts):
        raise InputError(f"ctx is {ctx!r}; expected an mxnet.Context such as mx.cpu(), or several")
    for context in contexts:
        if context.device_type == "gpu":
            check_gpu(context.device_id)
    if prelu == "auto":
        on_cpu = all(context.device_type.startswith("cpu") for context in contexts)
        prelu = "fast" if on_cpu else "elementwise"
    net = build(cfg, prelu=prelu, prefix=prefix)
    if initialize:
        net.initialize(initializer(), ctx=list(contexts))
    if batch_norm:
        set_batch_norms(net, batch_norm)
    return net


def initializer() -> typing.Any:
    """Return the zoo's usual initialiser: normal with variance 2 / fan_out (He et al., 2015).

    PReLU slopes start at 0.25, gammas at 1 and betas at 0.
    """
    return mx.initializer.Xavier(rnd_type="gaussian", factor_type="out", magnitude=2)


def __getattr__(name):
    if name == "load_weights":  # where it was before `gluonface.weights`; no import goes up
        return importlib.import_module("gluonface.weights").load_weights
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
