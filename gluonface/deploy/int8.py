"""Quantise an exported network to 8 bits with onnxruntime.

Static quantisation: activations int8 by the ranges that calibration images give, weights int8 per
output channel (Jacob et al., 2018, https://arxiv.org/abs/1712.05877), written as QuantizeLinear and
DequantizeLinear pairs, which the engines join with the convolutions. PReLUs, the first two layers
and the last three stay float.
"""

from __future__ import annotations

import logging
import pathlib
import tempfile
import typing

import numpy as np

from .._compat import mx
from ..errors import GluonfaceError, InputError, MissingExtraError
from ..evaluation.scores.flip import normalize_rows
from ..weights.folding import scale_layer
from ..weights.graph import Graph
from ..weights.mxnet_params import join_params, split_params
from .engines import errors_of
from .onnx.convert import convert
from .rewriting.prelu import scale_inputs
from .rewriting.rewrite import fold

__all__ = ["CALIBRATION_IMAGES", "quantize"]

logger = logging.getLogger(__name__)

CALIBRATION_IMAGES = 256
BATCH = 16
EQUALIZING = 32
QUANTIZED = ("Conv", "Gemm")
GOOD = 0.99  # mean cosine to the float embeddings; below it, a warning
WORST = 0.9  # below it, nothing is written


def quantize(
    symbol: typing.Any,
    arrays: dict[str, np.ndarray],
    images: np.ndarray,
    input_size: tuple[int, int] = (112, 112),
    name: str = "model",
) -> tuple[bytes, float]:
    """Return a network as an 8-bit ONNX file, and its mean cosine to the float one.

    Parameters
    ----------
    symbol : mx.sym.Symbol
        Input ``data``, one output (N,D).
    arrays : dict of str to numpy.ndarray
        Under ``arg:NAME`` and ``aux:NAME``.
    images : numpy.ndarray
        uint8 RGB (N,H,W,3) for the ranges of the activations.
    input_size : (int, int)
    name : str
        Of the graph.

    Returns
    -------
    content : bytes
    cosine : float
        Mean cosine between its embeddings and the float ones, of the calibration images.

    Raises
    ------
    MissingExtraError
        Without onnx and onnxruntime.
    InputError
        If there are no images, or not of the network's size.
    GluonfaceError
        If the mean cosine is below 0.9. Below 0.99 there is a warning with the figure.
    """
    try:
        import onnx  # noqa: F401
        from onnxruntime import quantization
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx", "to quantise a model") from error
    _silence()
    if images.ndim != 4 or not len(images) or images.shape[1:] != (*input_size, 3):
        raise InputError(
            f"the calibration images have the shape {images.shape}; expected "
            f"(N,{input_size[0]},{input_size[1]},3) with N at least 1"
        )
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    symbol, values = fold(symbol, *split_params(arrays), input_size)
    symbol, values = _equalize(symbol, values, pixels[:EQUALIZING])
    folded = join_params(symbol, values)
    model = convert(symbol, folded, input_size, name)
    content = model.SerializeToString()
    with tempfile.TemporaryDirectory() as folder, errors_of("onnxruntime", "quantise", name):
        path, made = pathlib.Path(folder) / "float.onnx", pathlib.Path(folder) / "int8.onnx"
        path.write_bytes(content)
        quantization.quantize_static(
            str(path),
            str(made),
            _reader(quantization.CalibrationDataReader, pixels),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_exclude=_ends(model),
            per_channel=True,
            # With a zero point, OpenVINO takes longer than in float32.
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"ActivationSymmetric": True},
        )
        small = made.read_bytes()
    with errors_of("onnxruntime", "run", f"{name} in 8 bits"):
        cosine = _cosine(content, small, pixels)
    if not cosine >= WORST:
        raise GluonfaceError(
            f"the 8-bit network is far from the float one: mean cosine {cosine:.3f} on "
            f"{len(images)} calibration images. Nothing was written; calibrate on more faces of "
            "the kind that it will see."
        )
    if cosine < GOOD:
        logger.warning(
            "the 8-bit network differs from the float one: mean cosine %.4f on %d calibration "
            "images; expected at least %g. Compare the accuracies of both, and calibrate on more "
            "faces of the kind that it will see",
            cosine,
            len(images),
            GOOD,
        )
    else:
        logger.info("quantised with %d images, mean cosine to float %.4f", len(images), cosine)
    return small, cosine


def _equalize(symbol, values, pixels):
    """Give the channels of an activation the same range, since they share one scale.

    PReLU and ReLU commute with a positive factor: the convolution before takes one over the
    range of each channel, those after take it back (Nagel et al., 2019,
    https://arxiv.org/abs/1906.04721, there by the weights' ranges).
    """
    graph = Graph.from_symbol(symbol)
    users = graph.users()
    kinds = {("LeakyReLU", "prelu"), ("LeakyReLU", "leaky"), ("Activation", "relu")}
    found = []
    for node in graph.nodes():
        if (node.op, node.attrs.get("act_type")) not in kinds:
            continue
        before = node.inputs[0][0]
        if before.op == "Convolution" and len(users[id(before)]) == 1 and id(node) in users:
            found.append(node)
    if not found:
        return symbol, values
    internals = symbol.get_internals()
    outputs = mx.sym.Group([internals[f"{node.name}_output"] for node in found])
    block = mx.gluon.SymbolBlock(outputs, mx.sym.var("data", dtype="float32"))
    for name, parameter in block.collect_params().items():
        parameter.shape = values[name].shape
        parameter.initialize(init=mx.init.Zero())
        parameter.set_data(mx.nd.array(values[name], dtype=np.float32))
    maps = block(mx.nd.array(pixels))
    values = dict(values)
    for node, map_ in zip(found, maps if isinstance(maps, (list, tuple)) else [maps]):
        span = np.abs(map_.asnumpy()).max(axis=(0, 2, 3)).astype(np.float64)
        span = np.maximum(span, max(1e-3 * span.max(), 1e-12))
        if scale_inputs(users[id(node)], node, span, values):
            scale_layer(node.inputs[0][0], values, 1 / span)
    changed = graph.to_symbol()
    wanted = [*changed.list_arguments(), *changed.list_auxiliary_states()]
    return changed, {name: values[name] for name in wanted if name in values}


def _ends(model):
    """Return the names of the first two layers with weights and of the last three: they stay float.

    Pixels, and the sum over a whole map that makes an embedding, lose most in 8 bits; these layers
    have a small part of the work.
    """
    names = [node.name for node in model.graph.node if node.op_type in QUANTIZED]
    return [*names[:2], *names[-3:]] if len(names) > 9 else names[:1]


def _silence():
    """Drop onnxruntime's advice on preprocessing, which `fold` has done, from the root logger."""
    logging.getLogger("root").addFilter(
        lambda record: "pre-processing before quantization" not in record.getMessage()
    )


def _reader(base, pixels):
    class Reader(base):
        """Gives onnxruntime the calibration images."""

        def __init__(self):
            starts = range(0, len(pixels), BATCH)
            self._batches = ({"data": pixels[i : i + BATCH]} for i in starts)

        def get_next(self):
            return next(self._batches, None)

    return Reader()


def _cosine(one, two, pixels):
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.log_severity_level = 3
    batches = [pixels[i : i + BATCH] for i in range(0, len(pixels), BATCH)]
    embeddings = []
    for content in (one, two):
        session = InferenceSession(content, options, providers=["CPUExecutionProvider"])
        outputs = [session.run(None, {"data": batch})[0] for batch in batches]
        embeddings.append(normalize_rows(np.concatenate(outputs)))
    return float((embeddings[0] * embeddings[1]).sum(axis=1).mean())
