"""Read weights into a backbone: our own files, and those of other toolkits.

A checkpoint is mapped by its graph, not by the names in it: both graphs are reduced to their
layers with weights, which must be the same layers fed by the same layers.
"""

import json
import logging
import pathlib
import re

import numpy as np

from .._compat import mx
from ..errors import DataError, InputError
from ..files import require_content, sha256
from .layers import read_graph
from .names.arcface_torch import SCALE as TORCH_SCALE
from .names.arcface_torch import renamed
from .onnx_file import fold, read_onnx
from .safetensors import read_safetensors
from .torch_pickle import read_torch

__all__ = ["find_checkpoint", "load_weights", "source_embedding_size", "source_pixels"]

logger = logging.getLogger(__name__)

EPOCH = re.compile(r"(?P<prefix>.+)-(?P<epoch>\d{4,})\.params$")
SHOWN = 6  # names in a message
# What PyTorch's files are called, and Lightning's; and state dicts as safetensors.
TORCH = (".pth", ".pt", ".ckpt", ".safetensors")
ONNX = ".onnx"
EXPECTED = (
    f"a file whose name ends in .params, {ONNX}, {', '.join(TORCH)}, or a prefix x of both "
    "x-symbol.json and x-0000.params"
)
LINEAR = ("Convolution", "FullyConnected")  # into which an exporter folds the BatchNorm after them


def find_checkpoint(source):
    """Find the files of a source.

    Parameters
    ----------
    source : str or pathlib.Path
        A ``.params``, ``.pth``, ``.pt``, ``.ckpt``, ``.safetensors`` or ``.onnx`` file, a prefix
        ``x`` (``x-symbol.json`` with ``x-0000.params``, or else the latest epoch), ``x,12`` for
        ``x-0012.params``, or a folder that holds one checkpoint.

    Returns
    -------
    params : pathlib.Path
    symbol : pathlib.Path or None
        None if there is no symbol beside it, as for files of `save_parameters`.

    Raises
    ------
    InputError
        If nothing is there, or more than one thing could be meant.
    """
    from .mxnet_params import epoch_file

    if not str(source).strip():
        raise InputError(f"no source is named; expected {EXPECTED}")
    path = pathlib.Path(epoch_file(source)).expanduser()
    if path.is_dir():
        symbols = sorted(path.glob("*-symbol.json"))
        if len(symbols) != 1:
            others = [file.name for file in path.iterdir() if file.suffix in (*TORCH, ONNX)]
            hint = f" (there is {_list(others)})" if others else ""
            raise InputError(
                f"{path} holds {len(symbols)} files *-symbol.json; expected one. "
                f"Name the prefix of a checkpoint or a file of weights{hint}"
            )
        path = symbols[0]
    if path.name.endswith("-symbol.json"):
        path = path.with_name(path.name[: -len("-symbol.json")])
    if path.suffix in TORCH or path.suffix == ONNX:
        return path, None
    if path.suffix == ".params":
        if not path.is_file():
            raise InputError(f"there is no file {path}")
        match = EPOCH.match(path.name)
        symbol = path.with_name(f"{match['prefix'] if match else path.stem}-symbol.json")
        return path, symbol if symbol.is_file() else None
    symbol = path.with_name(f"{path.name}-symbol.json")
    found = path.parent.glob(f"{_literal(path.name)}-*.params") if path.parent.is_dir() else ()
    epochs = {int(m["epoch"]): f for f in found for m in [EPOCH.match(f.name)] if m}
    if not symbol.is_file() or not epochs:
        raise InputError(
            f"no weights at {path}: expected {EXPECTED}, here {symbol.name} and "
            f"{path.name}-0000.params in {path.parent}"
        )
    return epochs[0] if 0 in epochs else epochs[max(epochs)], symbol


def _literal(name):
    """Return `name` with the wildcards of glob made literal."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _read(source):
    """Return the arrays of a source (float32, by plain name), its graph or None, and its files."""
    params, symbol = find_checkpoint(source)
    if params.is_file():
        require_content(params)
    arrays, graph, others = {}, None, []
    if params.suffix == ONNX:
        nodes, content = read_onnx(params)
        others = nodes.pop("files")
        graph = read_graph(json.dumps(nodes), str(params), output="")
        if not graph.inside:
            graph.mean, graph.scale = 127.5, TORCH_SCALE
    else:
        content = _reader(params)(params)
    for key, array in content.items():
        name = key.split(":", 1)[1] if key.startswith(("arg:", "aux:")) else key
        if array.dtype.kind not in "fiu":
            raise DataError(f"the tensor {name!r} of {params} holds {array.dtype}, not numbers")
        if not np.isfinite(array).all():
            raise DataError(f"the tensor {name!r} of {params} holds NaN or infinity")
        arrays[name] = array.astype(np.float32)
    if symbol is not None:
        try:
            text = symbol.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{symbol} cannot be read: {error}") from None
        graph = read_graph(text, str(symbol))
    return arrays, graph, {path.name: sha256(path) for path in (params, symbol, *others) if path}


def _reader(path):
    """Return the function that reads a file of weights that has no graph in it."""
    from .mxnet_params import read_params

    if path.suffix == ".safetensors":
        return read_safetensors
    return read_torch if path.suffix in TORCH else read_params


def source_embedding_size(source):
    """Return the length of the embedding that a source's network gives."""
    arrays, graph, _ = _read(source)
    if graph is None:
        sizes = [array.shape[0] for name, array in arrays.items() if array.ndim]
    else:
        names = [layer.params.get("beta", layer.params.get("weight")) for layer in graph.layers]
        sizes = [arrays[name].shape[0] for name in names if name in arrays]
    if not sizes:
        raise DataError(f"{source} holds no tensors of a network")
    return int(sizes[-1])


def source_pixels(source):
    """Return what the network of a source does to the pixels, {} if that is not known.

    Of a ``.params`` file the model card beside it tells, as `gluonface import` writes it.

    Returns
    -------
    dict
        ``mean`` and ``scale`` for `get_model`.
    bool
        Whether the file does that to the pixels itself.
    """
    path = find_checkpoint(source)[0]
    if path.suffix in TORCH:
        return {"mean": 127.5, "scale": TORCH_SCALE}, False
    if path.suffix == ONNX:
        graph = _read(source)[1]
        return {"mean": graph.mean, "scale": graph.scale}, graph.inside
    from .card import read_card

    card = read_card(path.with_suffix(".json")) or {}
    return {key: card[key] for key in ("mean", "scale") if _is_number(card.get(key))}, True


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def load_weights(net, source):
    """Read weights into a backbone of the zoo.

    Parameters
    ----------
    net : Backbone
        Initialised, on any contexts and in any form of PReLU.
    source : str or pathlib.Path
        A file of ``net.save_parameters``, or an MXNet checkpoint (symbol and params) of the same
        architecture: ours, or InsightFace's. The prefix of a checkpoint, either of its files, or
        its folder. Or a state dict of PyTorch (``.pth``, ``.pt``, ``.ckpt``, ``.safetensors``) of
        arcface_torch, cavaface or MixFaceNets. Or an ONNX file of the same architecture.

    Returns
    -------
    dict of str to str
        The files read, by name, with their sha256.

    Raises
    ------
    InputError
        If nothing is there, or the preprocessing in the graph is not the net's.
    DataError
        If a file is broken, or a tensor is missing, not wanted, or of another shape; the message
        names it.

    Notes
    -----
    In inference the result equals the checkpoint's own graph. What the backbone has not is folded
    away: the bias of a linear layer goes into the running mean of the BatchNorm that follows, a
    gamma that ``fix_gamma`` says to ignore becomes 1, and another eps goes into the running
    variance. In training an eps that was folded is ours, 1e-5. Where an ONNX file has folded a
    BatchNorm into the convolution before, ours becomes the identity but for its beta; in
    training, which normalises by the batch, such a network is another one than in inference.
    """
    arrays, graph, files = _read(source)
    ours = net._collect_params_with_prefix()
    if find_checkpoint(source)[0].suffix in TORCH:
        values = renamed(net, arrays, source)
    elif graph is None:
        values = arrays
        made_for = {**_pixels(net.cfg), **source_pixels(source)[0]}
        if not np.allclose(*([d["mean"], d["scale"]] for d in (made_for, _pixels(net.cfg)))):
            logger.warning(
                "%s was made for (x - %g) * %.9g of the pixels, the model computes "
                "(x - %g) * %.9g: build it with the former",
                *(source, made_for["mean"], made_for["scale"], net.cfg.mean, net.cfg.scale),
            )
    else:
        structural = {parameter.name: name for name, parameter in ours.items()}
        target, folded = _target(net, graph, find_checkpoint(source)[0].suffix == ONNX)
        for layer in target.layers:
            layer.params = {role: structural[name] for role, name in layer.params.items()}
        _same_network(graph, target, arrays, source, net.cfg)
        if graph.unused:  # exporters and simplifiers leave some behind
            logger.warning("%s: not used by its graph: %s", source, _list(graph.unused))
        folded = {
            structural[weight]: ([structural[name] for name in names], eps)
            for weight, (names, eps) in folded.items()
        }
        values = _translate(graph, target, arrays, source, ours, folded)
    # A parameter that two places share has two names here.
    shared = {id(ours[name]): value for name, value in values.items() if name in ours}
    values = {**{n: shared[id(p)] for n, p in ours.items() if id(p) in shared}, **values}
    _compare_names(ours, values, source, net.cfg.name)
    for name, parameter in ours.items():
        if tuple(values[name].shape) != tuple(parameter.shape):
            raise DataError(
                f"the tensor {name!r} of {source} has the shape {values[name].shape}; "
                f"{net.cfg.name} needs {tuple(parameter.shape)}"
            )
    for name, parameter in ours.items():
        parameter.set_data(mx.nd.array(values[name], dtype=parameter.dtype))
    logger.info("read %d tensors from %s into %s", len(ours), source, net.cfg.name)
    return files


def _pixels(cfg):
    return {"mean": cfg.mean, "scale": cfg.scale}


def _target(net, graph, foldable):
    """Return our network's graph, less the BatchNorms that the other one has folded.

    Returns
    -------
    Graph
    dict
        As of `fold`, with the names of parameters.
    """
    text = net.to_symbol("plain").tojson()
    whole = read_graph(text, net.cfg.name, output="")
    theirs, ours = _linear(graph), _linear(whole)
    if not foldable or len(theirs) != len(ours):  # another network, as the comparison will say
        return whole, {}
    symbol = json.loads(text)
    gone = {weight for (_, kept), (weight, normed) in zip(theirs, ours) if normed and not kept}
    folded = fold(symbol, gone)
    return read_graph(json.dumps(symbol), net.cfg.name, output=""), folded


def _linear(graph):
    """Return (weight, whether a BatchNorm comes next) of each convolution and linear layer."""
    normed = {layer.inputs for layer in graph.layers if layer.op == "BatchNorm"}
    return [
        (layer.params["weight"], f"layer {number}" in normed)
        for number, layer in enumerate(graph.layers, 1)
        if layer.op in LINEAR
    ]


def _identity(size, eps, bias=None):
    """Return gamma, beta, running mean and variance of a BatchNorm that adds a bias and no more."""
    ones = np.ones(size, np.float32)
    return ones, 0 * ones if bias is None else bias, 0 * ones, ones - np.float32(eps)


def _list(names):
    names = sorted(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _compare_names(ours, values, source, model):
    problems = []
    if set(ours) - set(values):
        problems.append(f"missing: {_list(set(ours) - set(values))}")
    if set(values) - set(ours):
        problems.append(f"not in the model: {_list(set(values) - set(ours))}")
    if problems:
        raise DataError(f"{source} does not hold the tensors of {model}; {'; '.join(problems)}")


def _same_network(graph, target, arrays, source, cfg):
    """Raise unless a checkpoint has the layers and the preprocessing of our backbone."""
    if not np.allclose([graph.mean, graph.scale], [cfg.mean, cfg.scale], rtol=1e-6, atol=1e-9):
        raise InputError(
            f"{source} computes (x - {graph.mean:g}) * {graph.scale:g} from the pixels first, "
            f"the model (x - {cfg.mean:g}) * {cfg.scale:g}; build the model with "
            f"mean={graph.mean:g}, scale={graph.scale:.9g}"
        )
    used = {name for layer in graph.layers for name in layer.params.values()}
    missing = used - set(arrays)
    extra = set(arrays) - graph.known
    if missing or extra:
        parts = [f"{_list(missing)} of its graph missing"] if missing else []
        parts += [f"{_list(extra)} not in its graph"] if extra else []
        raise DataError(f"the tensors of {source} are not those of its symbol: {'; '.join(parts)}")
    for number, (theirs, our) in enumerate(zip(graph.layers, target.layers), 1):
        _same_layer(number, theirs, our, source, cfg.name)
    if len(graph.layers) != len(target.layers) or graph.output != target.output:
        longer = graph if len(graph.layers) > len(target.layers) else target
        odd = [
            f"{layer.op} {_who(layer)}"
            for layer in longer.layers[min(len(graph.layers), len(target.layers)) :]
        ]
        raise DataError(
            f"{source} has {len(graph.layers)} layers with weights and ends in {graph.output}; "
            f"{cfg.name} has {len(target.layers)} and ends in {target.output}"
            + (f"; without a counterpart: {_list(odd)}" if odd else "")
        )


def _translate(graph, target, arrays, source, ours, folded):
    """Return the arrays of a checkpoint of the same network under the names of our backbone."""
    values, bias = {}, {}
    for number, (theirs, our) in enumerate(zip(graph.layers, target.layers), 1):
        tensors = {role: arrays[name] for role, name in theirs.params.items()}
        for role, array in tensors.items():
            if role in our.params:
                expected = tuple(ours[our.params[role]].shape)
            else:  # a bias where we have none
                expected = (ours[our.params["weight"]].shape[0],)
            if array.shape != expected:
                raise DataError(
                    f"the tensor {theirs.params[role]!r} of {source} has the shape {array.shape}; "
                    f"{_who(our)} needs {expected}"
                )
        if our.params.get("weight") in folded:
            names, eps = folded[our.params["weight"]]
            added = None if "bias" in our.params else tensors.pop("bias", None)
            size = tensors["weight"].shape[0]
            values.update(zip(names, _identity(size, eps, added)))
            if "bias" in our.params:
                tensors.setdefault("bias", np.zeros(size, np.float32))
        absent = set(our.params) - set(tensors)
        if absent:
            raise DataError(
                f"{source} has no {_list(absent)} in {theirs.op} {_who(theirs)}; {_who(our)} has"
            )
        if theirs.op == "BatchNorm":
            if theirs.fix_gamma:
                tensors["gamma"] = np.ones_like(tensors["gamma"])
            if our.fix_gamma and not np.allclose(tensors["gamma"], 1, rtol=0, atol=1e-6):
                raise DataError(
                    f"the tensor {theirs.params['gamma']!r} of {source} is not 1, at which "
                    f"{_who(our)} is held"
                )
            tensors["running_var"] = tensors["running_var"] + np.float32(theirs.eps - our.eps)
            if theirs.inputs in bias:
                tensors["running_mean"] = tensors["running_mean"] - bias.pop(theirs.inputs)
        elif "bias" in tensors and "bias" not in our.params:
            bias[f"layer {number}"] = tensors.pop("bias")
        values.update({name: tensors[role] for role, name in our.params.items()})
    if bias:
        names = [graph.layers[int(key.split()[1]) - 1].params["bias"] for key in bias]
        raise DataError(f"{source} has biases that no BatchNorm takes up: {_list(names)}")
    return values


def _who(layer):
    return repr(next(iter(layer.params.values()), layer.name))


def _same_layer(number, theirs, our, source, model):
    """Raise unless two layers do the same to the same input."""
    if theirs.op != our.op:
        raise DataError(
            f"layer {number} of {source} is {theirs.op} ({_who(theirs)}); "
            f"{model} has {our.op} ({_who(our)}) there"
        )
    different = {k: v for k, v in theirs.settings.items() if v != our.settings[k]}
    if different:
        key, value = next(iter(different.items()))
        raise DataError(
            f"layer {number} of {source}, {theirs.op} {_who(theirs)}, has {key} {value}; "
            f"{model} has {our.settings[key]} there ({_who(our)})"
        )
    if theirs.inputs != our.inputs:
        raise DataError(
            f"layer {number} of {source}, {theirs.op} {_who(theirs)}, is fed by {theirs.inputs}; "
            f"in {model} its counterpart {_who(our)} is fed by {our.inputs}"
        )
