"""One object for an opened source: each of its files is read, parsed and hashed at most once."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import pathlib
import typing

import numpy as np

from .. import model_zoo
from .._compat import mx
from ..data.embedding_origin import ModelIdentity
from ..errors import DataError, InputError
from ..model_zoo._batch_norm import BatchNormSettings
from .card import COLORS, read_card
from .content import Content, read_bytes
from .graph import Graph
from .layers import read_layers
from .mxnet_params import read_params
from .names import TORCH_PIXELS, last_weight
from .names.color import color_of_torch
from .onnx.mending import colors_of, mend_onnx, without_unit_length
from .onnx.parts import OnnxParts
from .onnx_file import has_external_data, parse_onnx, read_onnx, takes_bytes
from .safetensors import read_safetensors
from .source import CHECKPOINT, ONNX, PARAMETERS, PYTORCH, SAFETENSORS, Source, find_source
from .symbol_json import STATISTICS, read_symbol_json
from .torch_pickle import read_torch

__all__ = ["AnySource", "Weights", "open_weights"]

logger = logging.getLogger(__name__)


class Weights:
    """A source whose files are read when they are first asked for, and then kept.

    Every attribute raises InputError if the source has no such file, such as
    ``NAME:untrained``, and DataError if a file is damaged or holds something else.

    Attributes
    ----------
    source : Source
    prefix : str or None
        Of the network's tensors in a PyTorch file, if the caller named one.
    """

    def __init__(
        self,
        source: Source,
        color: str | None = None,
        prefix: str | None = None,
        output: str | None = None,
    ):
        self.source, self.prefix = source, prefix
        self._color, self._output, self._mended = color, output, False
        self._bytes: dict[pathlib.Path, bytes] = {}

    def __str__(self) -> str:
        return str(self.source)

    @property
    def params(self) -> pathlib.Path:
        """The file with the weights."""
        if self.source.params is None:
            raise InputError(f"{self} has random weights; expected a file of weights")
        return self.source.params

    def read(self, path: pathlib.Path) -> bytes:
        """Return the bytes of one of the files."""
        if path not in self._bytes:
            self._bytes[path] = read_bytes(path)
        return self._bytes[path]

    @functools.cached_property
    def sha256(self) -> dict[str, str]:
        """The SHA-256 of each file by its name, the file with the weights first."""
        files = [path for path in (self.source.params, self.source.symbol) if path is not None]
        if self.source.format == ONNX and self._in_pieces:
            self.onnx_parts  # noqa: B018  (reads the files that it names)
            files += sorted(self._bytes.keys() - set(files))
        return {path.name: hashlib.sha256(self.read(path)).hexdigest() for path in files}

    @functools.cached_property
    def color(self) -> str:
        """The order of colours that the network takes, ``"RGB"`` or ``"BGR"``.

        What the caller said, else what the model card says, else the file itself or a configuration
        beside it. Where nothing tells it is RGB, with a warning if both orders are usual.
        """
        told = self._color or (self.card or {}).get("color")
        if told is None and self.source.format in (PYTORCH, SAFETENSORS):
            told = color_of_torch(self.params, self.content.arrays.keys())
        if told is None and self.source.format == ONNX:
            told = colors_of(self.onnx_parts.model)
            if told is None:
                logger.warning(
                    "nothing says whether %s takes RGB or BGR; it is fed RGB, as InsightFace's "
                    'are. If it takes BGR, say so: "color": "BGR" in a model card beside it, or '
                    "`gluonface import --color BGR`",
                    self.params,
                )
        return told or "RGB"

    @functools.cached_property
    def card(self) -> dict[str, typing.Any] | None:
        """The model card beside the files; None if there is none, or it is of other weights."""
        card = None if self.source.card is None else read_card(self.source.card)
        expected = ((card or {}).get("sha256") or {}).get(self.source.role)
        if expected and expected != self.sha256[self.params.name]:
            logger.warning(
                "the model card beside %s is of another file; it is not used", self.params
            )
            return None
        return card

    @functools.cached_property
    def identity(self) -> ModelIdentity:
        """What embeddings of this model are known by: see `ModelIdentity`."""
        source, card = self.source, self.card or {}
        name = str(card.get("name") or source.name or source.stem)
        if source.params is None:
            return ModelIdentity(name, {})
        own = {source.role: self.sha256[self.params.name]}
        known = card.get("sha256") or {}
        if source.role != "int8" and known.get(source.role) == own[source.role]:
            own.update(
                (role, known[role])
                for role in ("params", "onnx")
                if isinstance(known.get(role), str)
            )
        return ModelIdentity(name, own)

    @functools.cached_property
    def content(self) -> Content:
        """The arrays under the names of the file, and the graph."""
        return READERS[self.source.format or PARAMETERS](self)

    @functools.cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays as float32, all finite, without ``arg:`` and ``aux:`` before their names."""
        arrays = {}
        for key, array in self.content.arrays.items():
            name = key.split(":", 1)[1] if key.startswith(("arg:", "aux:")) else key
            if array.dtype.kind not in "fiu":
                raise DataError(
                    f"the tensor {name!r} of {self.params} holds {array.dtype}, not numbers"
                )
            with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinity
                array = array.astype(np.float32, copy=False)
            if not np.isfinite(array).all():
                raise DataError(f"the tensor {name!r} of {self.params} holds NaN or infinity")
            arrays[name] = array
        return arrays

    @functools.cached_property
    def layers(self) -> typing.Any:
        """The `Layers` of the graph; None without a graph."""
        return None if self.content.graph is None else read_layers(self.content.graph)

    @functools.cached_property
    def symbol(self) -> typing.Any:
        """The graph of an MXNet checkpoint as an `mx.sym.Symbol`, cut at ``fc1_output``."""
        try:
            return mx.sym.load_json(json.dumps(self.symbol_json[0]))
        except mx.MXNetError as error:
            reason = (str(error).strip().splitlines() or ["unreadable"])[-1]
            raise DataError(f"{self.source.symbol} is not an MXNet symbol: {reason}") from None

    @functools.cached_property
    def symbol_json(self) -> tuple[dict[str, typing.Any], set[str]]:
        """What `read_symbol_json` makes of the symbol's file: nothing else of it reaches MXNet."""
        path = self.source.symbol
        if path is None:
            raise InputError(
                f"{self.params} holds weights alone; say which model they are for: "
                f"NAME:{self.params}, with a NAME of `gluonface models`"
            )
        return read_symbol_json(self.read(path), str(path), self._output)

    @functools.cached_property
    def onnx_parts(self) -> OnnxParts:
        """The network of an ONNX file, as `parse_onnx` and `mend_onnx` make it."""
        parts = parse_onnx(self.read(self.params), self.params, self.read)
        import onnx

        self._mended = mend_onnx(onnx, parts.model, self.params, self._output)
        return parts

    @functools.cached_property
    def onnx_model(self) -> typing.Any:
        """The same as an `onnx.ModelProto` with all numbers."""
        return self.onnx_parts.complete()

    @functools.cached_property
    def onnx_bytes(self) -> bytes:
        """The same as a file in one piece."""
        self.onnx_parts  # noqa: B018  (checks and mends it)
        changed = self._mended or self._in_pieces
        return self.onnx_model.SerializeToString() if changed else self.read(self.params)

    @functools.cached_property
    def _in_pieces(self) -> bool:
        return has_external_data(self.read(self.params))

    @property
    def inside(self) -> bool:
        """Whether the network of the file takes pixels 0..255 and normalises them itself."""
        if self.source.format == ONNX:
            return self.layers.inside or takes_bytes(self.onnx_parts.model)
        return self.source.format not in (PYTORCH, SAFETENSORS)

    @property
    def pixels(self) -> dict[str, float]:
        """The ``mean`` and ``scale`` for `get_model`; {} if they are not known.

        Of a ``.params`` file the model card tells, as `gluonface import` writes it.
        """
        if not self.inside:
            return dict(TORCH_PIXELS)
        if self.source.format == ONNX:
            return {"mean": self.layers.mean, "scale": self.layers.scale}
        card = self.card or {}
        found = {}
        for key in [key for key in TORCH_PIXELS if key in card]:
            values = card[key] if isinstance(card[key], list) else [card[key]]
            if len(set(values)) > 1:
                raise DataError(
                    f"the model card beside {self.params} has {key} {values}; backbones here have "
                    "one mean and one scale for all colours"
                )
            found[key] = values[0]
        return found

    @property
    def batch_norm(self) -> BatchNormSettings:
        """What the card says of the BatchNorms, as `get_model` takes it; {} if it does not."""
        return dict((self.card or {}).get("batch_norm") or {})

    def embedding_size_of(self, name: str) -> int:
        """Return the length of the embedding that the weights give in the backbone `name`."""
        if self.source.format in (PYTORCH, SAFETENSORS):
            cfg, build = model_zoo.BACKBONES.get(name)
            net = build(cfg, prelu="plain")  # its parameters have names and no values
            weight = last_weight(net, self.arrays, self, self.prefix)
            if weight is not None and weight.ndim:
                return int(weight.shape[0])
        return self.embedding_size

    @property
    def embedding_size(self) -> int:
        """The length of the embedding that the network gives."""
        if self.layers is None:
            sizes = [array.shape[0] for array in self.arrays.values() if array.ndim]
        else:
            roles = [layer.params for layer in self.layers.layers]
            names = [params.get("beta", params.get("weight")) for params in roles]
            found = [self.arrays[name] for name in names if name in self.arrays]
            sizes = [array.shape[0] for array in found if array.ndim]
        if not sizes:
            raise DataError(f"{self} holds no tensors of a network")
        return int(sizes[-1])


def _read_checkpoint(weights):
    raw, variables = weights.symbol_json
    graph = Graph.from_json(raw)
    content = _read_arrays(read_params)(weights)
    # What BatchNorm averages is "aux:"; some checkpoints are saved without the prefixes.
    averages = {
        node.inputs[place][0].name
        for node in graph.nodes()
        if "BatchNorm" in node.op
        for place in STATISTICS
        if place < len(node.inputs)
    }
    arrays: dict[str, np.ndarray] = {}
    for key, array in content.arrays.items():
        name = key.split(":", 1)[1] if key.startswith(("arg:", "aux:")) else key
        arrays[("aux:" if name in averages else "arg:") + name] = array
    bare = {name.split(":", 1)[1] for name in arrays}
    return Content(arrays, graph, sorted(bare - variables))


def _read_arrays(read):
    return lambda weights: Content(read(weights.params, weights.read(weights.params)))


def _read_onnx_file(weights):
    import onnx

    model = without_unit_length(onnx, weights.onnx_model)
    return read_onnx(model, weights.params)


# By Source.format. To add a format, add its ending to `source.FORMATS` and its reader here.
READERS: dict[str, typing.Callable[[Weights], Content]] = {
    CHECKPOINT: _read_checkpoint,
    PARAMETERS: _read_arrays(read_params),
    PYTORCH: _read_arrays(read_torch),
    SAFETENSORS: _read_arrays(read_safetensors),
    ONNX: _read_onnx_file,
}


AnySource = typing.Union[str, os.PathLike, Source, Weights]


def open_weights(
    source: AnySource,
    color: str | None = None,
    prefix: str | None = None,
    output: str | None = None,
) -> Weights:
    """Open a source, or return it if it is opened already.

    Parameters
    ----------
    source : str, pathlib.Path, Source or Weights
        `gluonface.weights.source` says what can be named.
    color : {"RGB", "BGR"}, optional
        The order of colours that the network takes, whatever the files say.
    prefix : str, optional
        Of the network's tensors in a PyTorch file that holds several networks.
    output : str, optional
        The name of the embedding in an ONNX file with several outputs that could be it, or of the
        layer that gives it in an MXNet checkpoint; there it is ``fc1`` or the only output.

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        If nothing is there, or `color` is another word.
    """
    if color is not None and color not in COLORS:
        raise InputError(f"color is {color!r}; expected {' or '.join(COLORS)}")
    if isinstance(source, Weights):
        if color is prefix is output is None:
            return source
        source = source.source
    found = source if isinstance(source, Source) else find_source(source)
    return Weights(found, color, prefix, output)
