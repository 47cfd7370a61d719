"""Export a network as symbol + params (+ ONNX) with a model card."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import pathlib
import typing

import numpy as np

from .._compat import mx
from ..data import RecordDataset
from ..errors import GluonfaceError, InputError
from ..files import atomic_write, sha256
from ..nn import prelu_form
from ..weights.card import FIXED, make_card
from ..weights.graph import Graph, unused_name
from ..weights.load import load_net
from ..weights.mxnet_params import join_params, params_bytes, split_params
from ..weights.opened import AnySource, open_weights
from ..weights.source import ONNX
from .engines import SymbolEngine, check_independence, check_rows
from .int8 import CALIBRATION_IMAGES, quantize
from .onnx.convert import convert
from .onnx.half import to_half
from .onnx.metadata import describe
from .parity import disagreement, noise
from .rewriting.rewrite import fold

__all__ = ["export_model", "export_source", "trace", "write_together"]

logger = logging.getLogger(__name__)

# What the card calls the files, by their endings.
ROLES = {
    "-symbol.json": "symbol",
    "-0000.params": "params",
    ".onnx": "onnx",
    ".int8.onnx": "int8",
    ".fp16.onnx": "fp16",
    ".json": "card",
}
OUTPUT = "fc1"  # the name that InsightFace's scripts look for, as fc1_output


def export_model(
    net: typing.Any,
    prefix: str | os.PathLike,
    onnx: bool = False,
    card: dict[str, typing.Any] | None = None,
    calibrate: str | os.PathLike | np.ndarray | None = None,
    fp16: bool = False,
) -> dict[str, pathlib.Path]:
    """Write a network so that MXNet, InsightFace's scripts and `Embedder` load it.

    The graph holds MXNet's own PReLU, however the network computes it in training, and names that
    depend on the architecture alone: the same weights give the same bytes.

    Parameters
    ----------
    net : mx.gluon.HybridBlock
        (N,3,H,W) RGB 0..255 -> (N,D). Usually of the zoo.
    prefix : str or pathlib.Path
        Path without ending. The folder is made.
    onnx : bool, default False
        Whether to write PREFIX.onnx as well. Needs the extra ``onnx``.
    card : dict, optional
        What to say in the card: ``training_data``, ``licence``, ``metrics``, ...
    calibrate : str, pathlib.Path or numpy.ndarray, optional
        Write PREFIX.int8.onnx as well, the network in 8 bits. Training records, of which 256
        images are taken, or uint8 RGB images (N,H,W,3): faces of the kind that it will see. They
        give the ranges of the activations. Needs the extra ``onnx``.
    fp16 : bool, default False
        Whether to write PREFIX.fp16.onnx as well: float32 images and embeddings, half precision
        inside, see `gluonface.deploy.onnx.half`. Needs the extra ``onnx``.

    Returns
    -------
    dict of str to pathlib.Path
        ``symbol``, ``params``, ``card`` and, if asked for, ``onnx``, ``int8`` and ``fp16``.

    Raises
    ------
    InputError
        If `net` cannot be traced, or `prefix` is a folder.
    GluonfaceError
        If the exported graph does not give the network's output; nothing is written then.
    """
    prefix = _checked_prefix(prefix)
    cfg = getattr(net, "cfg", None)
    size = tuple(getattr(cfg, "input_size", (112, 112)))
    symbol, arrays = trace(net)
    embedding_size = _check(net, symbol, arrays, size)
    document = make_card(cfg, embedding_size, card)
    return _write(symbol, arrays, document, prefix, onnx, calibrate, fp16)


def export_source(
    source: AnySource,
    prefix: str | os.PathLike,
    *,
    card: dict[str, typing.Any] | None = None,
    onnx: bool = False,
    fp16: bool = False,
    calibrate: str | os.PathLike | np.ndarray | None = None,
) -> dict[str, pathlib.Path]:
    """Export a model that is named by a SOURCE, as `Embedder.load` takes it.

    A run's checkpoint or ``NAME:FILE.params`` is traced; an exported prefix, InsightFace's
    included, is written again under our names for input and output.

    Parameters and errors are those of `export_model`.

    Returns
    -------
    dict of str to pathlib.Path
    """
    prefix = _checked_prefix(prefix)
    weights = open_weights(source)
    found = weights.source
    if found.format == ONNX and found.name is None:
        raise InputError(f"{found.params} is an ONNX file already; export needs MXNet's weights")
    origin = {"source": str(weights)}
    if found.params is not None:
        origin["source_sha256"] = weights.sha256[found.params.name]
    card = {**origin, **(card or {})}
    if found.name is not None:
        return export_model(load_net(weights), prefix, onnx, card, calibrate, fp16)
    graph = Graph.from_symbol(weights.symbol)
    if any(node.name == OUTPUT for node in graph.nodes() if node is not graph.head[0]):
        raise InputError(f"{found.symbol} has an inner node named {OUTPUT!r}, which export needs")
    graph.head[0].name = OUTPUT
    arrays = weights.content.arrays
    # A calibration is of the old files: what is written here has another SHA-256.
    known = {k: v for k, v in (weights.card or {}).items() if k not in (*FIXED, "calibrations")}
    size = tuple(known.get("input_size", (112, 112)))
    check_rows(graph.to_symbol(), graph, arrays, size, str(found.params))
    _say_shapes(graph, arrays, size)
    symbol = graph.to_symbol()
    engine = SymbolEngine(symbol, arrays, mx.cpu(), size, source=str(found.params))
    check_independence(graph, engine, size, str(found.params))
    document = make_card(None, engine.embedding_size, {**known, **card})
    if weights.card is None:
        document["name"] = card.get("name", found.stem)
        document.update(mean=weights.layers.mean, scale=weights.layers.scale)
    wanted = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    arrays = {k: v for k, v in arrays.items() if k.partition(":")[2] in wanted}
    return _write(symbol, arrays, document, prefix, onnx, calibrate, fp16)


def _checked_prefix(prefix):
    prefix = pathlib.Path(prefix)
    if prefix.is_dir() or not prefix.name:
        raise InputError(f"{prefix} is a folder; give a prefix in it, like {prefix / 'model'}")
    return prefix


def _calibration(calibrate):
    """Return the images for quantisation and what the card says of them."""
    if isinstance(calibrate, np.ndarray):
        return calibrate, {"images": len(calibrate)}
    records = RecordDataset(calibrate)
    order = np.random.RandomState(0).permutation(len(records))[:CALIBRATION_IMAGES]
    images = np.stack([records[int(i)][0] for i in np.sort(order)])
    path = pathlib.Path(calibrate)
    path = path / "train.rec" if path.is_dir() else path
    return images, {"images": len(images), "records": path.name, "sha256": sha256(path)}


def _write(symbol, arrays, document, prefix, onnx, calibrate=None, fp16=False):
    """Write the files of an export, with a card that holds the sha256 of the others."""
    size = tuple(document["input_size"])
    contents = {"-symbol.json": symbol.tojson().encode(), "-0000.params": params_bytes(arrays)}
    digest = hashlib.sha256(contents["-0000.params"]).hexdigest()
    if onnx:
        model = convert(symbol, arrays, input_size=size, name=document["name"])
        describe(model, document, digest)
        contents[".onnx"] = model.SerializeToString()
    if fp16:
        folded, values = fold(symbol, *split_params(arrays), size)
        model = convert(folded, join_params(folded, values), size, document["name"])
        describe(model, document, digest)
        contents[".fp16.onnx"] = to_half(model, size)
    if calibrate is not None:
        images, known = _calibration(calibrate)
        content, cosine = quantize(symbol, arrays, images, size, document["name"])
        import onnx as onnx_package

        model = onnx_package.load_model_from_string(content)
        describe(model, document, digest)
        contents[".int8.onnx"] = model.SerializeToString()
        document["int8"] = {"calibration": known, "cosine_to_float": round(cosine, 5)}
    files = {ROLES[end]: prefix.with_name(f"{prefix.name}{end}") for end in contents}
    document["sha256"] = {
        ROLES[end]: hashlib.new("sha256", content).hexdigest() for end, content in contents.items()
    }
    files["card"] = prefix.with_name(f"{prefix.name}.json")
    contents[".json"] = (json.dumps(document, indent=2) + "\n").encode()
    prefix.parent.mkdir(parents=True, exist_ok=True)
    write_together({files[ROLES[end]]: content for end, content in contents.items()})
    logger.info("%s (%d-d) exported to %s", document["name"], document["embedding_size"], prefix)
    return files


def write_together(contents: dict[pathlib.Path, bytes]) -> None:
    """Write all files or none, as far as a file system allows.

    All are written beside first, so that a full disk leaves nothing. Then they get their names,
    the last of the dict first: what is killed in between has left no symbol, without which the
    rest is no model, and a card that does not fit the other files is not used.

    Parameters
    ----------
    contents : dict of pathlib.Path to bytes

    Raises
    ------
    OSError
        If one cannot be written; it is named.
    """
    path = None
    try:
        with contextlib.ExitStack() as stack:
            for path, content in contents.items():
                file = stack.enter_context(atomic_write(path))
                file.write(content)
                file.flush()
    except OSError as error:  # a full disk says no name
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from None


def trace(net: typing.Any) -> tuple[typing.Any, dict[str, np.ndarray]]:
    """Return the network as a symbol of stable names, and its parameters.

    Returns
    -------
    symbol : mx.sym.Symbol
        Input ``data``, output ``fc1_output``.
    arrays : dict of str to numpy.ndarray
        float32, under ``arg:NAME`` and ``aux:NAME``.
    """
    if not isinstance(net, mx.gluon.HybridBlock):
        raise InputError(f"net is a {type(net).__name__}; expected a gluon HybridBlock")
    values = {}
    for name, parameter in net._collect_params_with_prefix().items():
        try:
            values[name] = parameter.data(parameter.list_ctx()[0]).asnumpy()
        except (RuntimeError, mx.gluon.parameter.DeferredInitializationError) as error:
            raise InputError(
                f"parameter {name} of the network has no values yet ({error}). "
                "Initialize it and run one batch before exporting."
            ) from None
    with prelu_form("plain"):
        outputs = net(mx.sym.var("data"))
    if not isinstance(outputs, mx.sym.Symbol) or len(outputs.list_outputs()) != 1:
        raise InputError("the network gives several outputs; export needs the embedding alone")
    structural = {p.name: name for name, p in net._collect_params_with_prefix().items()}
    graph = Graph.from_symbol(outputs)
    names = _rename(graph, structural)
    size = getattr(getattr(net, "cfg", None), "input_size", (112, 112))
    _say_shapes(graph, {new: values[old] for old, new in names.items()}, size)
    symbol = graph.to_symbol()
    auxiliary = set(symbol.list_auxiliary_states())
    arrays = {
        ("aux:" if new in auxiliary else "arg:") + new: values[old].astype(np.float32)
        for old, new in names.items()
    }
    return symbol, arrays


def _say_shapes(graph, arrays, size):
    """Write into the graph the shapes of parameters that MXNet does not infer from the images'.

    `mx.mod.Module`, which infers them all, refuses the file otherwise. Of a PReLU it expects a
    slope for each channel, where one may be for all; of the positions of a transformer, which are
    added to the tokens, and of all that follows it knows nothing.
    """
    symbol = graph.to_symbol()
    known, _, _ = symbol.infer_shape_partial(data=(1, 3, *size))
    inferred = dict(zip(symbol.list_arguments(), known))
    for node in graph.nodes():
        array = arrays.get(f"arg:{node.name}", arrays.get(node.name)) if node.is_variable else None
        if array is not None and inferred.get(node.name, array.shape) != array.shape:
            node.attrs["__shape__"] = str(array.shape)


def _rename(graph, structural):
    """Name variables after their place in the network, operators after their parameters.

    Returns ``{structural name: new name}`` of the parameters that the graph uses.
    """
    names, used = {}, {"data", OUTPUT}
    nodes = graph.nodes()
    for node in nodes:
        if node.is_variable and node.name in structural:
            path = structural[node.name]
            node.name = names[path] = unused_name(path.replace(".", "_"), used)
            used.add(node.name)
            node.attrs = {}  # initialisers and multipliers belong to training
    counts = {}
    for node in nodes:
        if node.is_variable:
            continue
        if node is graph.head[0]:
            node.name = OUTPUT
            continue
        # As MXNet itself would: fullyconnected0, _minusscalar0, ...
        hint = node.op.replace("_scalar", "scalar").lower()
        weight = next((s.name for s, _ in node.inputs if s.is_variable and s.name != "data"), "")
        stem = weight.rpartition("_")[0]
        if stem and stem not in used:
            node.name = stem
        else:
            node.name = f"{hint}{counts.get(hint, 0)}"
            counts[hint] = counts.get(hint, 0) + 1
        node.name = unused_name(node.name, used)
        used.add(node.name)
    return names


def _check(net, symbol, arrays, size):
    """Compare the graph with the network on noise; return the embedding size."""
    actual = SymbolEngine(symbol, arrays, mx.cpu(), size, fast=False).run(noise(size))
    if actual.ndim != 2:
        raise InputError(f"the network gives {actual.shape} for 2 images; expected (2, D)")
    parameters = list(net.collect_params().values())
    if any(np.dtype(parameter.dtype) != np.float32 for parameter in parameters):
        logger.info("the network is not float32: its export is not compared with it")
        return actual.shape[1]
    context = parameters[0].list_ctx()[0]

    def run(images):
        return net(mx.nd.array(images, ctx=context)).asnumpy()

    error, allowed = disagreement(actual, run(noise(size)), run, size)
    if not error < allowed:  # NaN is caught too
        raise GluonfaceError(
            f"the exported graph differs from the network by {error:.2g} (relative, on noise); "
            f"expected less than {allowed:.2g}. Nothing was written."
        )
    return actual.shape[1]
