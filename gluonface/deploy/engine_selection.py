"""Which engine runs a network."""

from __future__ import annotations

import importlib.util
import logging
import pathlib
import typing

import numpy as np

from .. import native
from ..errors import DataError, GluonfaceError, InputError
from ..evaluation.scores.flip import normalize_rows
from ..weights.graph import Graph
from ..weights.onnx.parts import OnnxParts
from .engines import (
    AGREE,
    Engine,
    OnnxEngine,
    OpenVinoEngine,
    SymbolEngine,
    has_cuda,
    largest_difference,
)
from .onnx.convert import convert
from .parity import noise

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "check_engine",
    "check_precision",
    "engine_for",
    "engine_for_onnx",
    "suits_mxnet",
]

logger = logging.getLogger(__name__)

# On a CPU, the first of these that is installed, or MXNet. Of one network each of 23 families, none
# but GhostNet and DenseNet ran more than a tenth faster with another than OpenVINO.
FASTEST_FIRST = ("openvino", "onnxruntime")
ENGINES = ("auto", *FASTEST_FIRST, "mxnet")
PRECISIONS = ("float32", "bfloat16", "int8")
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}  # of /proc/cpuinfo
# Unit embeddings of noise in bfloat16, which has 8 bits: least cosine to MXNet's float32.
NEAR = 0.99

# Between onnxruntime and MXNet it depends on the network. Where all depthwise convolutions are our
# own operators and the rest are these, MXNet was 1.3 to 1.5 times as fast for 8 images and
# 0.9 to 1.6 times for one (MobileFaceNet, MobileNets, EfficientNet); elsewhere 0.3 to 1.2 times.
QUICK = {
    "Activation",
    "Convolution",
    "Flatten",
    "Pooling",
    "clip",
    "elemwise_add",
    "_minus_scalar",
    "_mul_scalar",
}


def check_engine(engine: str) -> str:
    """Return the name of an engine, or raise InputError that lists all."""
    if engine not in ENGINES:
        raise InputError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}")
    return engine


def check_precision(precision: str, engine: str, on_gpu: bool) -> None:
    """Raise InputError unless an engine can be asked for a precision; warn if it will not help."""
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return
    if on_gpu:
        raise InputError(f"precision={precision!r} is for CPUs; use ctx='cpu'")
    able = ("auto", "openvino") if precision == "bfloat16" else ("auto", *FASTEST_FIRST)
    if engine not in able:
        raise InputError(f"precision={precision!r} needs engine={' or '.join(able)}, not {engine}")
    if precision == "bfloat16" and not cpu_has_bfloat16():
        logger.warning(
            "precision='bfloat16' will not help: this CPU has neither AMX nor AVX512-BF16"
        )


def cpu_has_bfloat16() -> bool:
    """Return whether the CPU multiplies bfloat16 numbers faster than float32 ones."""
    try:
        content = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(BFLOAT16_FLAGS & set(content.split()))


def engine_for(
    symbol: typing.Any,
    arrays: dict[str, np.ndarray],
    ctx: typing.Any,
    size: tuple[int, int],
    source: str,
    engine: str = "auto",
    precision: str = "float32",
) -> Engine:
    """Return the engine for a network given as MXNet's symbol and parameters.

    The rule depends on the context and on what is installed, never on a measurement, so that the
    same files give the same numbers every day. On a GPU it is MXNet. On a CPU it is OpenVINO,
    else onnxruntime, else MXNet: the first that is installed, can read the network as ONNX and
    gives what MXNet gives for noise. MXNet comes before onnxruntime for networks that
    `gluonface.native` has operators for.

    Parameters
    ----------
    symbol : mx.sym.Symbol
    arrays : dict of str to numpy.ndarray
    ctx : mx.Context
    size : (int, int)
    source : str
        For messages.
    engine : {"auto", "openvino", "onnxruntime", "mxnet"}, default "auto"
    precision : {"float32", "bfloat16"}, default "float32"
        The latter is OpenVINO's, on a CPU.

    Returns
    -------
    SymbolEngine, OnnxEngine or OpenVinoEngine
    """
    check_engine(engine)
    check_precision(precision, engine, ctx.device_type != "cpu")
    if precision == "bfloat16":
        engine = "openvino"
    if ctx.device_type != "cpu" and engine in FASTEST_FIRST:
        raise InputError(f"engine={engine!r} runs MXNet's weights on a CPU; use ctx='cpu'")
    if engine == "auto" and ctx.device_type == "cpu":
        names = [name for name in FASTEST_FIRST if _installed(name)]
        if not names:
            logger.info(
                "MXNet runs %s; OpenVINO would be faster: pip install 'gluonface[openvino]'", source
            )
    else:
        names = [engine] if engine in FASTEST_FIRST else []
    ours = None
    if engine == "auto" and names == ["onnxruntime"]:
        ours = SymbolEngine(symbol, arrays, ctx, size, source=source)
        if suits_mxnet(ours.graph):
            return ours
    if names:
        found = _converted(symbol, arrays, ctx, size, source, names, engine != "auto", precision)
        if found is not None:
            return found
    return ours or SymbolEngine(symbol, arrays, ctx, size, source=source)


def suits_mxnet(symbol: typing.Any) -> bool:
    """Whether MXNet runs a rewritten graph faster than onnxruntime the network it is of."""
    operators, joined = set(), False
    for node in Graph.from_symbol(symbol).nodes():
        if node.is_variable:
            continue
        if node.op.startswith(native.PREFIX):
            joined = joined or "depthwise" in node.op
            continue
        operators.add(node.op)
        grouped = node.op == "Convolution" and node.attrs.get("num_group", "1") != "1"
        if grouped and node.attrs.get("kernel") != "(7, 7)":  # the one that ends a map
            return False
    return joined and operators <= QUICK


def engine_for_onnx(
    path: pathlib.Path,
    ctx: typing.Any = None,
    engine: str = "auto",
    model: bytes | OnnxParts | None = None,
    precision: str = "float32",
) -> OnnxEngine | OpenVinoEngine:
    """Return the engine for a ``.onnx`` file.

    On a GPU it is onnxruntime; on a CPU the first of OpenVINO and onnxruntime that is installed.

    Parameters
    ----------
    path : pathlib.Path
    ctx : mx.Context or str, optional
        Default: a GPU if onnxruntime has one.
    engine : {"auto", "openvino", "onnxruntime"}, default "auto"
    model : bytes or OnnxParts, optional
        The content of the file, where it has been read or parsed already.
    precision : {"float32", "bfloat16"}, default "float32"
        The latter is OpenVINO's, on a CPU. A file that is in 8 bits runs so in any case.

    Returns
    -------
    OnnxEngine or OpenVinoEngine
    """
    check_engine(engine)
    if engine == "mxnet":
        raise InputError(f"{path} is ONNX, which MXNet does not run; omit the engine")
    gpu = None if ctx is None else str(ctx).startswith("gpu")
    check_precision(precision, engine, bool(gpu))
    if engine == "openvino" or precision == "bfloat16":
        if gpu:
            raise InputError("engine='openvino' runs on a CPU; use ctx='cpu'")
        return OpenVinoEngine(path, model, precision)
    on_cpu = gpu is False or (gpu is None and not _cuda())
    if engine == "auto" and on_cpu and importlib.util.find_spec("openvino"):
        try:
            return OpenVinoEngine(path, model)
        except DataError as error:
            if not importlib.util.find_spec("onnxruntime"):
                raise
            logger.info("onnxruntime runs %s: %s", path, error)
    return OnnxEngine(path, gpu, model)


def _installed(engine):
    """Whether an engine, and onnx, by which it gets the network, can be imported."""
    return all(importlib.util.find_spec(name) for name in (engine, "onnx"))


def _cuda():
    """Whether onnxruntime is installed and has a GPU."""
    return importlib.util.find_spec("onnxruntime") is not None and has_cuda()


def _converted(symbol, arrays, ctx, size, source, names, must, precision):
    """Return the first engine of `names` that gives what MXNet gives, or None.

    If it `must` be this engine, a failure is an error.
    """
    plain = SymbolEngine(symbol, arrays, ctx, size, source=source, fast=False)
    path = pathlib.Path(f"{source} as ONNX")
    try:
        model = OnnxParts.of(convert(symbol, arrays, size, compare=False))
    except GluonfaceError as error:
        if must:
            raise
        logger.info("MXNet runs %s: it cannot be converted (%s)", source, error)
        return None
    images = noise(size)
    expected = plain.run(images)
    for name in names:
        try:
            if name == "openvino":
                found = OpenVinoEngine(path, model, precision)
            else:
                found = OnnxEngine(path, gpu=False, model=model)
            actual = found.run(images)
            difference = largest_difference(actual, expected)
        except GluonfaceError as error:
            if must:
                raise
            logger.info("%s does not run %s: %s", name, source, error)
            continue
        if precision == "bfloat16":
            cosine = (normalize_rows(actual) * normalize_rows(expected)).sum(axis=1).min()
            if not cosine >= NEAR:
                raise DataError(
                    f"{source} gives other embeddings in bfloat16 (cosine {cosine:.3f} on noise); "
                    f"expected {NEAR} or more. Use precision='float32'."
                )
            return found
        if difference < AGREE:
            return found
        logger.warning(
            "%s differs from MXNet by %.2g (unit embeddings of noise) for %s",
            found.name,
            difference,
            source,
        )
        if must:
            return found
    return None
