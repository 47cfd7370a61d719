"""Which engine runs a network that is there as MXNet's symbol and parameters."""

from __future__ import annotations

import importlib.util
import logging
import pathlib

from ..errors import GluonfaceError, InputError, MissingExtraError
from .engines import OnnxEngine, SymbolEngine
from .graph import Graph

__all__ = ["ENGINES", "check_engine", "engine_for"]

logger = logging.getLogger(__name__)

ENGINES = ("auto", "mxnet", "onnxruntime")


def check_engine(engine):
    """Return the name of an engine or say which there are."""
    if engine not in ENGINES:
        raise InputError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}")
    return engine


def engine_for(symbol, arrays, ctx, size, source, engine="auto"):
    """Return the engine for a network.

    The rule depends on the network and on what is installed, never on a measurement, so that the
    same files give the same numbers on every day. On a GPU it is MXNet. On a CPU it is onnxruntime
    for networks in which operators are left that MXNet computes outside oneDNN, provided that
    onnx and onnxruntime are installed; else MXNet.

    Parameters
    ----------
    symbol : mx.sym.Symbol
    arrays : dict of str to numpy.ndarray
    ctx : mx.Context
    size : (int, int)
    source : str
        For messages.
    engine : {"auto", "mxnet", "onnxruntime"}, default "auto"

    Returns
    -------
    SymbolEngine or OnnxEngine
    """
    check_engine(engine)
    ours = None
    if engine != "onnxruntime":
        ours = SymbolEngine(symbol, arrays, ctx, size, source=source)
        if engine == "mxnet" or ctx.device_type != "cpu":
            return ours
        slow = slow_operators(ours.graph)
        if not slow:
            logger.debug("MXNet runs %s: all of it is done by oneDNN", source)
            return ours
        if not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")):
            logger.info(
                "MXNet runs %s; onnxruntime would be faster (%s): pip install 'gluonface[onnx]'",
                source,
                ", ".join(slow),
            )
            return ours
    elif ctx.device_type != "cpu":
        raise InputError("engine='onnxruntime' runs MXNet's weights on a CPU; use ctx='cpu'")
    try:
        from .onnx import convert

        model = convert(symbol, arrays, size).SerializeToString()
        return OnnxEngine(pathlib.Path(f"{source} as ONNX"), gpu=False, model=model)
    except MissingExtraError:
        raise
    except GluonfaceError as error:
        if ours is None:
            raise
        logger.info("MXNet runs %s: it cannot be converted (%s)", source, error)
        return ours


# What oneDNN does, or costs next to nothing. Measured on one network of each family.
QUICK = {
    "Activation",
    "BatchNorm",
    "Concat",
    "Convolution",
    "Flatten",
    "FullyConnected",
    "LeakyReLU",
    "Pooling",
    "Reshape",
    "_minus_scalar",
    "_mul_scalar",
    "_sg_mkldnn_conv",
    "_sg_mkldnn_fully_connected",
    "elemwise_add",
}


def slow_operators(symbol):
    """Return the operators of a rewritten graph that MXNet is slow with, sorted."""
    return sorted({n.op for n in Graph(symbol).nodes() if not n.is_variable} - QUICK)
