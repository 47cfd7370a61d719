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
from ..weights.load import load_net
from ..weights.names import TORCH_PIXELS
from ..weights.onnx_file import normalizes_pixels
from ..weights.opened import AnySource, open_weights
from ..weights.source import ONNX, UNTRAINED
from .engine_selection import check_engine, engine_for, engine_for_onnx
from .engines import Engine, run_in_chunks
from .export import trace

__all__ = ["Embedder"]

logger = logging.getLogger(__name__)

INSIDE = "inside"


class Embedder:
    """A trained network that turns aligned face crops into embeddings.

    Use `Embedder.load`. One object serves one thread.

    Parameters
    ----------
    engine : SymbolEngine, OnnxEngine or OpenVinoEngine
    card : dict
        ``name``, ``embedding_size``, ``input_size``, ``preprocessing`` (``"inside"``, or a dict
        of ``mean`` and ``scale`` that are applied here).
    identity : ModelIdentity, optional
        What embeddings of this model are known by. Default: nothing that can be recognised.
    """

    def __init__(
        self, engine: Engine, card: dict[str, typing.Any], identity: ModelIdentity | None = None
    ):
        self._engine = engine
        self.card = card
        self.embedding_size = engine.embedding_size
        known = identity or ModelIdentity(card["name"], {})
        self.identity = dataclasses.replace(known, embedding_size=engine.embedding_size)
        self.input_size = tuple(card["input_size"])
        self.engine = f"{engine.name} ({engine.device})"
        pixels = card["preprocessing"]
        self._pixels = None if pixels == INSIDE else (pixels["mean"], pixels["scale"])

    @classmethod
    def load(cls, source: AnySource, ctx: typing.Any = None, engine: str = "auto") -> Embedder:
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

        Returns
        -------
        Embedder

        Raises
        ------
        InputError
            If there is no such model; the message lists what was looked for.
        DataError
            If a file is broken or the parameters do not fit; the tensor is named.
        MissingExtraError
            For a ``.onnx`` file without onnx and an engine for it, or without the engine asked for.
        """
        check_engine(engine)
        weights = open_weights(source)
        if weights.source.name is not None:
            runner, card = _load_zoo(weights, context_of(ctx), engine)
        elif weights.source.format == ONNX:
            runner, card = _load_onnx(weights, ctx, engine)
        else:
            runner, card = _load_symbol(weights, context_of(ctx), engine)
        model = cls(runner, card, dataclasses.replace(weights.identity, name=card["name"]))
        logger.info(
            "%s (%d-d) runs with %s, %d threads; %s",
            card["name"],
            model.embedding_size,
            model.engine,
            thread_count(),
            "the network takes pixels 0..255"
            if model._pixels is None
            else f"pixels are fed as (x - {model._pixels[0]:g}) * {model._pixels[1]:g}",
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
        pixels = np.ascontiguousarray(batch.transpose(0, 3, 1, 2)).astype(np.float32)
        if self._pixels is not None:
            mean, scale = self._pixels
            pixels = (pixels - np.float32(mean)) * np.float32(scale)
        fixed = self._engine.fixed_batch
        # A new batch size costs MXNet a new plan. The last batch is filled up to a power of two,
        # so that a model meets few sizes.
        size = fixed or min(batch_size, 1 << (count - 1).bit_length())
        rows = run_in_chunks(self._engine.run, pixels, size)
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            raise DataError(
                f"{self.card['name']} gives values that are not finite for {len(bad)} images, the "
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
        return mx.gpu(0) if mx.context.num_gpus() else mx.cpu()
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
    return mx.Context(kind, number)


def _card(name, embedding_size, input_size, preprocessing=INSIDE):
    return {
        "name": name,
        "embedding_size": embedding_size,
        "input_size": list(input_size),
        "color": "RGB",
        "preprocessing": preprocessing,
    }


def _load_symbol(weights, ctx, engine_name):
    symbol, card = weights.symbol, weights.card
    size = tuple((card or {}).get("input_size", (112, 112)))
    arrays = weights.content.arrays
    engine = engine_for(symbol, arrays, ctx, size, str(weights.params), engine_name)
    if card is None:
        logger.info(
            "%s has no model card; MXNet face networks take pixels 0..255, and this one computes "
            "(x - %g) * %g first",
            *(weights.source.symbol, weights.layers.mean, weights.layers.scale),
        )
        card = _card(weights.source.stem, engine.embedding_size, size)
    return engine, card


def _load_onnx(weights, ctx, engine_name):
    path, card = weights.params, weights.card
    engine = engine_for_onnx(path, ctx, engine_name, weights.onnx_bytes)
    if card is None:
        inside = normalizes_pixels(weights.onnx_model)
        logger.info(
            "%s has no model card; its graph %s",
            path,
            "normalises the pixels itself"
            if inside
            else "does not normalise pixels, so they are fed as (x - 127.5) / 127.5, "
            "InsightFace's rule",
        )
        pixels = INSIDE if inside else dict(TORCH_PIXELS)
        card = _card(path.stem, engine.embedding_size, engine.input_size, pixels)
    return engine, card


def _load_zoo(weights, ctx, engine_name):
    net = load_net(weights)
    symbol, arrays = trace(net)
    card = _card(net.cfg.name, int(net.cfg.embedding_size), net.cfg.input_size)
    name = str(weights.source.params or UNTRAINED)
    return engine_for(symbol, arrays, ctx, tuple(net.cfg.input_size), name, engine_name), card
