"""Read weights into a backbone: our own files, and those of other toolkits.

A checkpoint is mapped by its graph, not by the names in it: both graphs are reduced to their
layers with weights, which must be the same layers fed by the same layers.
"""

from __future__ import annotations

import dataclasses
import logging
import typing

import numpy as np

from .. import model_zoo
from .._compat import mx
from ..errors import DataError, InputError
from ..model_zoo._batch_norm import adopt_batch_norms, set_batch_norms
from .folding import drop_batch_norms
from .graph import Graph
from .layers import read_layers
from .names import renamed
from .names.color import reversed_colors
from .opened import AnySource, open_weights
from .source import ONNX, PYTORCH, SAFETENSORS

__all__ = ["load_net", "load_weights"]

logger = logging.getLogger(__name__)

SHOWN = 6  # names in a message


def load_net(source: AnySource) -> typing.Any:
    """Build the network of a source that names its backbone, and fill it.

    The embedding size is that of the weights unless the source says it, and the preprocessing
    that of their model card, or of the toolkit whose file it is. ``net.cfg.color`` is the order of
    colours that the card says.

    Parameters
    ----------
    source : str, pathlib.Path, Source or Weights
        ``NAME:FILE``, ``NAME:untrained`` or the folder of an unfinished run.

    Returns
    -------
    Backbone

    Raises
    ------
    InputError
        For a name that is not in the zoo.
    DataError
        If a tensor is missing, extra or misshapen; it is named.
    """
    weights = open_weights(source)
    name, options = weights.source.name, weights.source.options
    if name is None:
        raise InputError(f"{weights} does not name a backbone; expected NAME:{weights.params}")
    if weights.source.params is None:
        mx.random.seed(0)  # the same random weights every time
        logger.warning("%s has random weights: a baseline, not a model", name)
        return model_zoo.get_model(name, **options)
    try:
        model_zoo.BACKBONES.resolve(name)  # a wrong name before a wrong file
    except InputError as error:
        raise InputError(f"{weights}: {error}") from None
    options = {**weights.pixels, **options}
    if "embedding_size" not in options:
        options["embedding_size"] = weights.embedding_size_of(name)
    net = model_zoo.get_model(name, **options, initialize=False)
    net.cfg = dataclasses.replace(net.cfg, color=weights.color)
    load_weights(net, weights)
    return net


def load_weights(net: typing.Any, source: AnySource) -> dict[str, str]:
    """Read weights into a backbone of the zoo.

    Parameters
    ----------
    net : Backbone
        On any contexts and in any form of PReLU. One without values gets them on the CPU.
    source : str, pathlib.Path, Source or Weights
        Any SOURCE with weights: a file of ``net.save_parameters``; an MXNet checkpoint (symbol
        and params) or an ONNX file of the same architecture, ours or InsightFace's; a state dict
        of PyTorch (``.pth``, ``.pt``, ``.ckpt``, ``.safetensors``) of AdaFace, arcface_torch,
        cavaface, CVLface or MixFaceNets. `gluonface.weights.source` lists all.

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
    The result equals the checkpoint's own graph, in inference and in training: the BatchNorms get
    its eps, and hold a gamma at 1 that it holds; ``net.cfg.batch_norm`` says so where that is not
    the architecture's. The bias of a linear layer, which has no effect in training, goes into the
    running mean of the BatchNorm that follows. Where an ONNX file has folded a BatchNorm
    into the convolution before, ours becomes the identity but for its beta; in training, which
    normalises by the batch, such a network is another one than in inference. Where the source
    takes the colours in the other order than ``net.cfg.color``, the inputs of the first convolution
    change places; mean and scale are the same for all colours.
    """
    weights = open_weights(source)
    ours = net._collect_params_with_prefix()
    eps: dict[str, float] = {}
    fixed: set[str] = set()
    if weights.source.format in (PYTORCH, SAFETENSORS):
        values = renamed(net, weights.arrays, weights, weights.prefix)
    elif weights.layers is None:
        values = weights.arrays
        _warn_of_other_pixels(net.cfg, weights)
    else:
        values, eps, fixed = _by_graph(net, ours, weights)
    # A parameter that two places share has two names here.
    shared = {id(ours[name]): value for name, value in values.items() if name in ours}
    values = {**{n: shared[id(p)] for n, p in ours.items() if id(p) in shared}, **values}
    _compare_names(ours, values, weights, net.cfg.name)
    for name, parameter in ours.items():
        if tuple(values[name].shape) != tuple(parameter.shape):
            raise DataError(
                f"the tensor {name!r} of {weights} has the shape {values[name].shape}; "
                f"{net.cfg.name} needs {tuple(parameter.shape)}"
            )
    if weights.color != net.cfg.color:
        values = reversed_colors(ours, values)
        logger.info(
            "%s takes %s: its first convolution is reversed for %s",
            *(weights, weights.color, net.cfg.color),
        )
    for name, parameter in ours.items():
        value = mx.nd.array(values[name], dtype=parameter.dtype)
        if parameter._data is None:
            parameter._load_init(value, [mx.cpu()])
        else:
            parameter.set_data(value)
    if eps:
        adopt_batch_norms(net, eps, fixed)
    elif weights.batch_norm:
        set_batch_norms(net, weights.batch_norm)
    logger.info("read %d tensors from %s into %s", len(ours), weights, net.cfg.name)
    return weights.sha256


def _warn_of_other_pixels(cfg, weights):
    known = {"mean": cfg.mean, "scale": cfg.scale, **weights.pixels}
    if not np.allclose([known["mean"], known["scale"]], [cfg.mean, cfg.scale]):
        logger.warning(
            "%s was made for (x - %g) * %.9g of the pixels, the model computes "
            "(x - %g) * %.9g: build it with the former",
            *(weights, known["mean"], known["scale"], cfg.mean, cfg.scale),
        )


def _by_graph(net, ours, weights):
    """Return the arrays of a source with a graph under the names of our backbone."""
    structural = {parameter.name: name for name, parameter in ours.items()}
    graph = Graph.from_symbol(net.to_symbol("plain"))
    for node in graph.nodes():
        node.name = structural.get(node.name, node.name)
    target, theirs, folded = read_layers(graph), weights.layers.linear, {}
    # Of other lengths it is another network, as the comparison will say.
    if weights.source.format == ONNX and len(theirs) == len(target.linear):
        gone = {weight for (_, kept), (weight, n) in zip(theirs, target.linear) if n and not kept}
        folded = drop_batch_norms(graph, gone)
        target = read_layers(graph)
    _same_network(weights, target, net.cfg)
    if weights.content.unused:  # exporters and simplifiers leave some behind
        logger.warning("%s: not used by its graph: %s", weights, _list(weights.content.unused))
    return _translate(weights, target, ours, folded)


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


def _same_network(weights, target, cfg):
    """Raise unless a source has the layers and the preprocessing of our backbone."""
    source, graph = weights, weights.layers
    mean, scale = graph.mean, graph.scale
    if not weights.inside:  # an ONNX file whose pixels are normalised before
        mean, scale = weights.pixels.values()
    if not np.allclose([mean, scale], [cfg.mean, cfg.scale], rtol=1e-6, atol=1e-9):
        raise InputError(
            f"{source} computes (x - {mean:g}) * {scale:g} from the pixels first, "
            f"the model (x - {cfg.mean:g}) * {cfg.scale:g}; build the model with "
            f"mean={mean:g}, scale={scale:.9g}"
        )
    used = {name for layer in graph.layers for name in layer.params.values()}
    missing = used - set(weights.arrays)
    extra = () if weights.source.format == ONNX else weights.content.unused
    if missing or extra:
        problems = [f"{_list(missing)} of its graph missing"] if missing else []
        problems += [f"{_list(extra)} not in its graph"] if extra else []
        raise DataError(
            f"the tensors of {source} are not those of its symbol: {'; '.join(problems)}"
        )
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


def _translate(weights, target, ours, folded):
    """Return the arrays of the same network under the names of our backbone."""
    source, graph, arrays = weights, weights.layers, weights.arrays
    values, bias, eps, fixed = {}, {}, {}, set()
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
            names, own_eps = folded[our.params["weight"]]
            added = None if "bias" in our.params else tensors.pop("bias", None)
            size = tensors["weight"].shape[0]
            values.update(zip(names, _identity(size, own_eps, added)))
            if "bias" in our.params:
                tensors.setdefault("bias", np.zeros(size, np.float32))
        absent = set(our.params) - set(tensors)
        if absent:
            raise DataError(
                f"{source} has no {_list(absent)} in {theirs.op} {_who(theirs)}; {_who(our)} has"
            )
        if theirs.op == "BatchNorm":
            norm = our.params["gamma"].rpartition(".")[0]
            eps[norm] = theirs.eps
            if theirs.fix_gamma:
                fixed.add(norm)
                tensors["gamma"] = np.ones_like(tensors["gamma"])
            if our.fix_gamma and not np.allclose(tensors["gamma"], 1, rtol=0, atol=1e-6):
                raise DataError(
                    f"the tensor {theirs.params['gamma']!r} of {source} is not 1, at which "
                    f"{_who(our)} is held"
                )
            if theirs.inputs in bias:
                tensors["running_mean"] = tensors["running_mean"] - bias.pop(theirs.inputs)
        elif "bias" in tensors and "bias" not in our.params:
            bias[f"layer {number}"] = tensors.pop("bias")
        values.update({name: tensors[role] for role, name in our.params.items()})
    if bias:
        names = [graph.layers[int(key.split()[1]) - 1].params["bias"] for key in bias]
        raise DataError(f"{source} has biases that no BatchNorm takes up: {_list(names)}")
    return values, eps, fixed


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
