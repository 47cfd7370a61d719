"""Run a trained network: every command and the Python interface do it here."""

from __future__ import annotations

import dataclasses
import logging
import re
import typing

import numpy as np

from .._compat import mx, thread_count
from ..data.embedding_origin import ModelIdentity
from ..errors import DataError, InputError
from ..evaluation.scores.flip import FLIPS, combine_views
from ..gpus import check_gpu
from ..weights.card import INSIDE
from ..weights.load import load_net
from ..weights.names import TORCH_PIXELS
from ..weights.onnx.mending import is_unit_length
from ..weights.onnx_file import normalizes_pixels
from ..weights.opened import AnySource, open_weights
from ..weights.source import ONNX, UNTRAINED
from .engine_selection import check_engine, check_precision, engine_for, engine_for_onnx
from .engines import Engine, check_independence, check_rows, run_in_chunks
from .export import trace
from .onnx.metadata import preprocessing_of

__all__ = ["Embedder"]

logger = logging.getLogger(__name__)


class Embedder:
    """A trained network that turns aligned face crops into embeddings.

    Use `Embedder.load`. One object serves one thread.

    Parameters
    ----------
    engine : SymbolEngine, OnnxEngine or OpenVinoEngine
    card : dict
        ``name``, ``embedding_size``, ``input_size``, ``color`` (``"RGB"`` or ``"BGR"``: the order
        in which the network gets the colours of RGB images), ``preprocessing`` (``"inside"``, or a
        dict of ``mean`` and ``scale`` that are applied here, in that order of colours).
    source : str, optional
        For messages; default the card's name.
    identity : ModelIdentity, optional
        What embeddings of this model are known by. Default: nothing that can be recognised.
    """

    def __init__(
        self,
        engine: Engine,
        card: dict[str, typing.Any],
        source: str | None = None,
        identity: ModelIdentity | None = None,
    ):
        self._engine = engine
        self._source = source or card["name"]
        self.card = card
        self.embedding_size = engine.embedding_size
        known = identity or ModelIdentity(card["name"], {})
        self.identity = dataclasses.replace(known, embedding_size=engine.embedding_size)
        self.input_size = tuple(card["input_size"])
        self.engine = f"{engine.name} ({engine.device})"
        self._reversed = card.get("color", "RGB") == "BGR"
        self._pixels = None
        if card["preprocessing"] != INSIDE:
            values = (card["preprocessing"][key] for key in ("mean", "scale"))
            # One number, or one for each colour: (3,1,1) for images (N,3,H,W).
            self._pixels = [np.reshape(np.asarray(v, np.float32), (-1, 1, 1)) for v in values]
            if engine.takes_bytes:
                raise DataError(
                    f"{self._source} takes whole numbers 0 to 255 as its pixels, and its model "
                    'card says mean and scale; expected "preprocessing": "inside"'
                )

    @classmethod
    def load(
        cls,
        source: AnySource,
        ctx: typing.Any = None,
        engine: str = "auto",
        precision: str = "float32",
        color: str | None = None,
        output: str | None = None,
    ) -> Embedder:
        """Load a model.

        Parameters
        ----------
        source : str, pathlib.Path, Source or Weights
            A run folder; an exported prefix (``x`` for ``x-symbol.json`` + ``x-0000.params``,
            InsightFace's MXNet checkpoints included; the files' own names do as well); a
            ``.onnx`` file; ``NAME:FILE.params``; or ``NAME:untrained``, random weights as a
            baseline. `gluonface.weights.source` lists all.
        ctx : mx.Context or str, optional
            Where to run: ``mx.gpu(1)``, ``"cpu"``, ``"gpu"``, ``"gpu(1)"``. Default: the first GPU
            if there is one, else the CPU.
        engine : {"auto", "openvino", "onnxruntime", "mxnet"}, default "auto"
            What runs it. ``auto`` on a CPU: OpenVINO if it is installed, else onnxruntime, else
            MXNet; on a GPU MXNet, and onnxruntime for ``.onnx`` files. A fixed rule; nothing is
            timed. The attribute ``engine`` says what runs.
        precision : {"float32", "bfloat16", "int8"}, default "float32"
            On a CPU. ``bfloat16`` is OpenVINO's: faster where the CPU has AMX or AVX512-BF16; a
            warning says where it has not. ``int8`` runs the ``PREFIX.int8.onnx`` that
            ``gluonface export --int8`` wrote beside the model.
        color : {"RGB", "BGR"}, optional
            The order of colours that the network takes, whatever its files say. Where nothing says
            it, it is RGB; for ``.onnx`` files and AdaFace's networks a warning names both.
        output : str, optional
            The name of the embedding in a ``.onnx`` file, of several outputs that could be it; or
            of the layer that gives it in an MXNet checkpoint, where that is not called ``fc1``.

        Returns
        -------
        Embedder

        Raises
        ------
        InputError
            If there is no such model; the message lists what was looked for.
        DataError
            If a file is broken or the parameters do not fit; the tensor is named. If the engine
            cannot load or run the network, or it does not give a row for each image.
        MissingExtraError
            For a ``.onnx`` file without onnx and an engine for it, or without the engine asked for.
        """
        check_engine(engine)
        check_precision(precision, engine, ctx is not None and str(ctx).startswith("gpu"))
        weights = open_weights(source, color, output=output)
        if precision == "int8":
            weights, precision = _in_8_bits(weights, color), "float32"  # the file says it
            ctx = "cpu"
        if weights.source.name is not None:
            runner, card = _load_zoo(weights, context_of(ctx), engine, precision)
        elif weights.source.format == ONNX:
            runner, card = _load_onnx(weights, ctx, engine, precision)
        else:
            runner, card = _load_symbol(weights, context_of(ctx), engine, precision)
        _check_card(card, runner, weights)
        card = {**card, "color": weights.color}
        identity = dataclasses.replace(weights.identity, name=card["name"])
        model = cls(runner, card, str(weights.source.params or weights), identity)
        logger.info(
            "%s (%d-d) runs with %s, %d threads; %s%s",
            card["name"],
            model.embedding_size,
            model.engine,
            thread_count(),
            "the network takes pixels 0..255"
            if model._pixels is None
            else "pixels are fed as (x - {mean}) * {scale}".format(**card["preprocessing"]),
            ", in the order BGR" if model._reversed else "",
        )
        return model

    def embed(
        self,
        images: np.ndarray | typing.Iterable[np.ndarray],
        flip: str = "sum",
        batch_size: int = 64,
    ) -> np.ndarray:
        """Embed aligned face crops.

        Parameters
        ----------
        images : numpy.ndarray or iterable
            uint8 RGB (N,112,112,3), one image (112,112,3), or an iterable of either. OpenCV reads
            BGR: reverse the channels with ``image[:, :, ::-1]``.
        flip : {"sum", "none", "concat"}
            What to do with the mirrored image: add its output (D), leave it out (D), or append
            its output (2D). Normalised once, at the end.
        batch_size : int, default 64
            Images a forward pass.

        Returns
        -------
        numpy.ndarray
            float32 (N,D) (``concat``: (N,2D)) of unit length. One image counts as N = 1.

        Raises
        ------
        InputError
            If `images` are not such images, or `flip` or `batch_size` is wrong.
        DataError
            If the network gives a value that is not finite; the images are named.
        """
        if flip not in FLIPS:
            raise InputError(f"flip is {flip!r}; expected one of {', '.join(FLIPS)}")
        e, f = self._outputs(images, batch_size, mirror=flip != "none")
        return combine_views(e, f, flip)

    def embed_views(
        self, images: np.ndarray | typing.Iterable[np.ndarray], batch_size: int = 64
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the un-normalised outputs for the images and for their mirrors.

        `combine_views` computes the embeddings of every `flip` from them.

        Returns
        -------
        e, f : numpy.ndarray
            float32 (N,D) each.
        """
        return self._outputs(images, batch_size, mirror=True)

    def outputs(
        self, images: np.ndarray | typing.Iterable[np.ndarray], batch_size: int = 64
    ) -> np.ndarray:
        """Return the un-normalised outputs for the images alone, float32 (N,D)."""
        return self._outputs(images, batch_size, mirror=False)[0]

    def _outputs(self, images, batch_size, mirror):
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise InputError(f"batch_size is {batch_size!r}; expected a whole number, 1 or more")
        empty = np.zeros((0, self.embedding_size), np.float32)
        plain, mirrored, count = [empty], [empty], 0
        for batch in _batches(images, int(batch_size), self.input_size):
            plain.append(self._forward(batch, batch_size, count))
            if mirror:
                mirrored.append(self._forward(batch[:, :, ::-1], batch_size, count))
            count += len(batch)
        return np.concatenate(plain), np.concatenate(mirrored) if mirror else None

    def _forward(self, batch, batch_size, first):
        """Return the outputs for at most `batch_size` images."""
        count = len(batch)
        if self._reversed:
            batch = batch[..., ::-1]
        pixels = np.ascontiguousarray(batch.transpose(0, 3, 1, 2)).astype(np.float32)
        if self._pixels is not None:
            mean, scale = self._pixels
            pixels = (pixels - mean) * scale
        fixed = self._engine.fixed_batch
        # A new batch size costs MXNet a new plan. The last batch is filled up to a power of two,
        # so that a model meets few sizes.
        size = fixed or min(batch_size, 1 << (count - 1).bit_length())
        rows = run_in_chunks(self._engine.run, pixels, size)
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            raise DataError(
                f"{self._source} gives values that are not finite for {len(bad)} images, the "
                f"first at position {first + bad[0]}. Its weights are broken or overflow."
            )
        return rows


def _batches(images, batch_size, size):
    """Yield uint8 (n,H,W,3) with n <= `batch_size`, n < `batch_size` for the last alone."""
    kept, count = [], 0
    for stack in [images] if isinstance(images, np.ndarray) else images:
        kept.append(_check_images(stack, size))
        count += len(kept[-1])
        if count < batch_size:
            continue
        joined = kept[0] if len(kept) == 1 else np.concatenate(kept)
        whole = count - count % batch_size
        for start in range(0, whole, batch_size):
            yield joined[start : start + batch_size]
        kept, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(kept)


def _check_images(images, size):
    """Return `images` as uint8 (N,H,W,3), or raise InputError that says what is wrong."""
    wanted = f"expected uint8 RGB (N,{size[0]},{size[1]},3), values 0..255"
    if not isinstance(images, np.ndarray):
        raise InputError(f"images holds a {type(images).__name__}; {wanted} as NumPy arrays")
    shape = images.shape
    if images.ndim == 3 and shape[-1] == 3:
        images = images[None]
    if images.ndim != 4 or images.shape[-1] != 3:
        hint = ""
        if images.ndim == 4 and shape[1] == 3:
            hint = ". These are channels-first: images.transpose(0, 2, 3, 1)"
        elif shape[-2:] == tuple(size):
            hint = ". These are grey: np.repeat(images[..., None], 3, axis=-1)"
        raise InputError(f"images have the shape {shape}; {wanted}{hint}")
    if images.shape[1:3] != tuple(size):
        raise InputError(f"images are {images.shape[1]}x{images.shape[2]}; {wanted}. Align them.")
    if images.dtype != np.uint8:
        raise InputError(f"images are {images.dtype}; {wanted}: the network scales them itself")
    return images


def context_of(ctx):
    """Return the mx.Context of "cpu", "gpu(1)", ...; of None that of the first GPU, if any."""
    if ctx is None:
        ctx = "gpu(0)" if mx.context.num_gpus() else "cpu"
    if isinstance(ctx, mx.Context):
        kind, number = ctx.device_type, ctx.device_id
    else:
        match = re.fullmatch(r"(cpu|gpu)[:(]?(\d*)\)?", str(ctx))
        if match is None:
            raise InputError(f"ctx is {ctx!r}; expected cpu, gpu or gpu(NUMBER), such as gpu0")
        kind, rest = match.groups()
        number = int(rest or 0)
    if kind == "gpu" and number >= mx.context.num_gpus():
        raise InputError(
            f"ctx is gpu({number}), but MXNet sees {mx.context.num_gpus()} GPUs. Use ctx='cpu', or "
            "install gluonface[cu112] on a machine with an NVIDIA driver."
        )
    if kind == "gpu":
        check_gpu(number)
    return mx.Context(kind, number)


def _check_card(card, engine, weights):
    """Raise DataError if a model card is not of this network."""
    found = {"embedding_size": engine.embedding_size}
    if getattr(engine, "static_size", None) is not None:
        found["input_size"] = list(engine.static_size)
    for key, value in found.items():
        if card[key] != value:
            raise DataError(
                f"the model card beside {weights.source.params} has {key} {card[key]}, the network "
                f"{value}; it is of another model: remove it or export the model again"
            )


def _card(name, embedding_size, input_size, preprocessing=INSIDE, color="RGB"):
    return {
        "name": name,
        "embedding_size": embedding_size,
        "input_size": list(input_size),
        "color": color,
        "preprocessing": preprocessing,
    }


def _in_8_bits(weights, color):
    """Open the 8-bit file beside a model that was made of the same parameters."""
    source = weights.source
    if source.role == "int8":
        return weights
    remedy = "write it with `gluonface export --model SOURCE --out PREFIX --int8 --calibrate REC`"
    if source.params is None:
        raise InputError(f"precision='int8' needs a file of 8 bits, and {weights} has none")
    path = source.params.with_name(f"{source.stem}.int8.onnx")
    if not path.is_file():
        raise InputError(f"precision='int8' needs {path}; {remedy}, and name PREFIX")
    found = open_weights(path, color)
    told = ((found.card or {}).get("sha256") or {}).get(source.role)
    if told != weights.sha256[source.params.name]:
        raise InputError(f"{path} was made of other parameters than {weights}; {remedy}")
    return found


def _load_symbol(weights, ctx, engine_name, precision):
    symbol, card = weights.symbol, weights.card
    size = tuple((card or {}).get("input_size", (112, 112)))
    arrays = weights.content.arrays
    check_rows(symbol, weights.content.graph, arrays, size, str(weights.params))
    engine = engine_for(symbol, arrays, ctx, size, str(weights.params), engine_name, precision)
    check_independence(weights.content.graph, engine, size, str(weights.params))
    if card is None:
        logger.info(
            "%s has no model card; MXNet face networks take pixels 0..255, and this one computes "
            "(x - %g) * %g first",
            *(weights.source.symbol, weights.layers.mean, weights.layers.scale),
        )
        card = _card(weights.source.stem, engine.embedding_size, size)
    return engine, card


def _load_onnx(weights, ctx, engine_name, precision):
    path, card = weights.params, weights.card
    parts = weights.onnx_parts
    engine = engine_for_onnx(path, ctx, engine_name, parts, precision)
    if card is None:
        inside = engine.takes_bytes or normalizes_pixels(parts.model)
        logger.info(
            "%s has no model card; its graph %s",
            path,
            "takes whole numbers 0 to 255"
            if engine.takes_bytes
            else "normalises the pixels itself"
            if inside
            else "does not normalise pixels, so they are fed as (x - 127.5) / 127.5, "
            "InsightFace's rule",
        )
        if is_unit_length(parts.model):
            logger.info("%s gives embeddings of unit length", path)
        pixels = INSIDE if inside else dict(TORCH_PIXELS)
        told = preprocessing_of(parts.model)
        if told is not None and not engine.takes_bytes:
            logger.info("%s says so in its metadata: preprocessing %s", path, told)
            pixels = told
        card = _card(path.stem, engine.embedding_size, engine.input_size, pixels)
    return engine, card


def _load_zoo(weights, ctx, engine_name, precision):
    net = load_net(weights)
    symbol, arrays = trace(net)
    cfg = net.cfg
    card = _card(cfg.name, int(cfg.embedding_size), cfg.input_size, color=cfg.color)
    name = str(weights.source.params or UNTRAINED)
    size = tuple(cfg.input_size)
    return engine_for(symbol, arrays, ctx, size, name, engine_name, precision), card
