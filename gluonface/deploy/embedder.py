"""The one way in which everything else runs a trained network."""

from __future__ import annotations

import logging
import re

import numpy as np

from .._compat import mx, thread_count
from ..errors import DataError, InputError
from ..evaluation.scores.flip import FLIPS, combine_views
from ..files import sha256
from ..weights.graph import Graph, pixel_constants
from ..weights.source import UNTRAINED, find_source, load_net, read_prefix
from .engine_selection import check_engine, engine_for, engine_for_onnx

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
    """

    def __init__(self, engine, card):
        self._engine = engine
        self.card = card
        self.embedding_size = engine.embedding_size
        self.input_size = tuple(card["input_size"])
        self.engine = f"{engine.name} ({engine.device})"
        pixels = card["preprocessing"]
        self._pixels = None if pixels == INSIDE else (pixels["mean"], pixels["scale"])

    @classmethod
    def load(cls, source, ctx=None, engine="auto"):
        """Load a model.

        Parameters
        ----------
        source : str or pathlib.Path
            A run folder; an exported prefix (``x`` for ``x-symbol.json`` + ``x-0000.params``,
            InsightFace's MXNet checkpoints included; the files' own names do as well); a
            ``.onnx`` file; ``NAME:FILE.params``; or ``NAME:untrained``, random weights as a
            baseline.
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
        found = find_source(source)
        if found.kind == "onnx":
            runner, card = _load_onnx(found, ctx, engine)
        elif found.kind == "symbol":
            runner, card = _load_symbol(found, context_of(ctx), engine)
        else:
            runner, card = _load_zoo(found, context_of(ctx), engine)
        model = cls(runner, card)
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

    def embed(self, images, flip="sum", batch_size=64):
        """Embed aligned face crops.

        Parameters
        ----------
        images : numpy.ndarray or iterable
            uint8 RGB (N,112,112,3), one image (112,112,3), or an iterable of either. OpenCV reads
            BGR: turn it round with ``image[:, :, ::-1]``.
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
        e, f = self._views(images, batch_size, mirror=flip != "none")
        return combine_views(e, f, flip)

    def embed_views(self, images, batch_size=64):
        """Return the un-normalised outputs for the images and for their mirrors.

        `combine_views` makes the embeddings of every `flip` out of them, from one pass.

        Returns
        -------
        e, f : numpy.ndarray
            float32 (N,D) each.
        """
        return self._views(images, batch_size, mirror=True)

    def _views(self, images, batch_size, mirror):
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise InputError(f"batch_size is {batch_size!r}; expected a whole number, 1 or more")
        parts, mirrored, count = [], [], 0
        for batch in _batches(images, int(batch_size), self.input_size):
            parts.append(self._forward(batch, batch_size, count))
            if mirror:
                mirrored.append(self._forward(batch[:, :, ::-1], batch_size, count))
            count += len(batch)
        empty = np.zeros((0, self.embedding_size), np.float32)
        e = np.concatenate(parts) if parts else empty
        return e, (np.concatenate(mirrored) if mirrored else empty) if mirror else None

    def _forward(self, batch, batch_size, first):
        """Return the outputs for at most `batch_size` images."""
        count = len(batch)
        pixels = np.ascontiguousarray(batch.transpose(0, 3, 1, 2)).astype(np.float32)
        if self._pixels is not None:
            mean, scale = self._pixels
            pixels = (pixels - np.float32(mean)) * np.float32(scale)
        fixed = self._engine.fixed_batch
        # A new batch size costs MXNet a new plan. Rest batches are filled up to a power of two,
        # so that a model meets few of them.
        size = fixed or min(batch_size, 1 << (count - 1).bit_length())
        rows = []
        for start in range(0, count, size):
            part = pixels[start : start + size]
            fill = size - len(part)
            if fill:
                part = np.concatenate([part, np.zeros((fill, *part.shape[1:]), np.float32)])
            rows.append(self._engine.run(part)[: size - fill])
        rows = np.concatenate(rows)
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
    for piece in [images] if isinstance(images, np.ndarray) else images:
        piece = _check_images(piece, size)
        kept.append(piece)
        count += len(piece)
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
    """Return `images` as uint8 (N,H,W,3) or say what is wrong with them."""
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
    """Return an mx.Context for what the user said: cpu, gpu, gpu0, gpu(1), a context, or None."""
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


def _load_symbol(found, ctx, choice):
    symbol, arrays = read_prefix(found)
    card = _checked_card(found)
    size = tuple((card or {}).get("input_size", (112, 112)))
    engine = engine_for(symbol, arrays, ctx, size, str(found.params), choice)
    if card is None:
        steps = pixel_constants(Graph(symbol))
        logger.info(
            "%s has no model card; MXNet face networks take pixels 0..255, and this one begins "
            "with %s",
            found.path,
            ", ".join(f"{op.strip('_')} {value:g}" for op, value in steps) or "a layer",
        )
        card = {
            "name": found.path.name[: -len("-symbol.json")],
            "embedding_size": engine.embedding_size,
            "input_size": list(size),
            "color": "RGB",
            "preprocessing": INSIDE,
        }
    return engine, card


def _load_onnx(found, ctx, choice):
    from .onnx.convert import normalizes_inside

    engine = engine_for_onnx(found.path, ctx, choice)
    card = _checked_card(found, "int8" if found.path.name.endswith(".int8.onnx") else "onnx")
    if card is None:
        inside = normalizes_inside(found.path)
        logger.info(
            "%s has no model card; its graph %s",
            found.path,
            "normalises the pixels itself"
            if inside
            else "does not normalise pixels, so they are fed as (x - 127.5) / 127.5, "
            "InsightFace's rule",
        )
        card = {
            "name": found.path.stem,
            "embedding_size": engine.embedding_size,
            "input_size": list(engine.input_size),
            "color": "RGB",
            "preprocessing": INSIDE if inside else {"mean": 127.5, "scale": 1 / 127.5},
        }
    return engine, card


def _checked_card(found, role="params"):
    """Return the card beside a file unless it belongs to another one."""
    if found.card is None:
        return None
    path = found.params if role == "params" else found.path
    expected = (found.card.get("sha256") or {}).get(role)
    if expected and sha256(path) != expected:
        logger.warning("the model card beside %s is of another file; it is not used", path)
        return None
    return found.card


def _load_zoo(found, ctx, choice):
    from .export import trace

    net = load_net(found)
    symbol, arrays = trace(net)
    size = tuple(net.cfg.input_size)
    card = {
        "name": net.cfg.name,
        "embedding_size": int(net.cfg.embedding_size),
        "input_size": list(size),
        "color": "RGB",
        "preprocessing": INSIDE,
    }
    source_name = str(found.params or UNTRAINED)
    return engine_for(symbol, arrays, ctx, size, source_name, choice), card
