"""A cache of embeddings on disk, in chunks: an interrupted run continues where it stopped.

Each chunk is a file, written whole. The ranks of one job share the chunks among them and read the
others' from the disk they share. Embeddings are biometric data: nobody but the user may read them.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import pathlib

import numpy as np

from ...data.arrays import load_arrays
from ...errors import DataError, InputError, one_line
from ...files import atomic_write, write_json, write_npz

__all__ = ["CHUNK", "Embeddings", "embed_images"]

logger = logging.getLogger(__name__)

CHUNK = 2048  # images a file: 8 MB for 512-d with mirrors


@dataclasses.dataclass(frozen=True, eq=False)
class Embeddings:
    """Outputs of a model for images and for their mirrors.

    Attributes
    ----------
    e, f : numpy.ndarray, shape (n, D), float32
        Not normalised. Zero for an image that could not be read.
    failed : numpy.ndarray of bool, shape (n,)
        Such images.
    sha256 : str
        Of all pixels in order.
    """

    e: np.ndarray
    f: np.ndarray
    failed: np.ndarray
    sha256: str


def embed_images(
    embedder,
    images,
    folder=None,
    model_key="",
    batch_size=64,
    comm=None,
    progress=False,
    allow_bad=0,
    name="images",
):
    """Run a model over images.

    Parameters
    ----------
    embedder : gluonface.deploy.Embedder
        Anything with its ``embed_views``.
    images : image_list.ImageList
        Anything with a length, ``read(number)`` and ``key()``.
    folder : str or pathlib.Path, optional
        The cache. Without one nothing is kept, and there can be one rank only.
    model_key : str
        What identifies the model: a SHA-256 of its files.
    batch_size : int, default 64
    comm : gluonface.parallel communicator, optional
        Rank r of k embeds every k-th chunk. All ranks must see the same `folder`.
    progress : bool, default False
        Show a bar on standard error.
    allow_bad : int, default 0
        How many images may be unreadable; their features are zero.
    name : str
        Of the bar.

    Returns
    -------
    Embeddings

    Raises
    ------
    DataError
        More images than allowed cannot be read (the first is named), a chunk of the cache is
        broken, or another rank's chunk is not there.
    """
    rank, size = (0, 1) if comm is None else (comm.rank, comm.size)
    chunks = -(-len(images) // CHUNK)
    place = None
    if folder is not None:
        place = _open(folder, images, model_key)
    elif size > 1:
        raise InputError(
            "several ranks share their embeddings through a cache folder: leave --no-cache out, "
            "and give a model from files; random weights are not cached"
        )
    held = {}
    with _bar(len(images), progress and rank == 0, name) as bar:
        for chunk in range(chunks):
            first, stop = chunk * CHUNK, min((chunk + 1) * CHUNK, len(images))
            file = None if place is None else place / f"part-{chunk:05d}.npz"
            if chunk % size == rank and not (file is not None and file.is_file()):
                content = _embed(embedder, images, first, stop, batch_size, allow_bad, bar)
                if file is None:
                    held[chunk] = content
                else:
                    with _explained(folder), atomic_write(file, private=True) as out:
                        write_npz(out, {**content, "model": np.array(model_key)})
            else:
                bar.update(stop - first)
    if size > 1:
        comm.barrier("evaluation.embeddings")
    contents = [
        held.get(chunk) or _load(place / f"part-{chunk:05d}.npz", model_key)
        for chunk in range(chunks)
    ]
    failed = np.concatenate([content["failed"] for content in contents])
    if failed.sum() > allow_bad:
        raise DataError(f"{failed.sum()} images cannot be read; {allow_bad} are allowed")
    digest = hashlib.sha256("".join(str(content["sha256"]) for content in contents).encode())
    return Embeddings(
        e=np.concatenate([content["e"] for content in contents]),
        f=np.concatenate([content["f"] for content in contents]),
        failed=failed,
        sha256=digest.hexdigest(),
    )


def _open(folder, images, model_key):
    """Return the folder of this model and these images, made if need be."""
    facts = {"model": model_key, "images": images.key(), "count": len(images), "part": CHUNK}
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    place = pathlib.Path(folder).expanduser() / key[:32]
    with _explained(folder):
        # Embeddings tell people apart: they are for the user alone.
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (place / "key.json").is_file():
            write_json(place / "key.json", facts)
    logger.info("embeddings are kept in %s", place)
    return place


@contextlib.contextmanager
def _explained(folder):
    """Within this context an OSError says what to do about the cache."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the cache {folder} cannot be written ({error.strerror or error}). Choose another "
            "folder with --cache DIR, or keep no embeddings with --no-cache"
        ) from error


def _embed(embedder, images, first, stop, batch_size, allow_bad, bar):
    """Return the arrays of one chunk."""
    failed, digest, blocks = np.zeros(stop - first, bool), hashlib.sha256(), []
    for start in range(first, stop, batch_size):
        batch, kept = [], []
        numbers = range(start, min(start + batch_size, stop))
        for number in numbers:
            try:
                image = images.read(number)
            except DataError as error:
                failed[number - first] = True
                if failed.sum() > allow_bad:
                    raise
                logger.warning("left out: %s", error)
                continue
            digest.update(image.tobytes())
            batch.append(image)
            kept.append(number - start)
        if batch:
            outputs = embedder.embed_views(np.stack(batch), batch_size)
        else:
            outputs = [np.zeros((0, embedder.embedding_size), np.float32)] * 2
        for output in outputs:
            if not np.isfinite(output).all():
                row = int(np.argmin(np.isfinite(output).all(axis=1)))
                raise DataError(
                    f"the model's output for {images.names[start + kept[row]]} is not finite"
                )
        block = np.zeros((2, len(numbers), outputs[0].shape[1]), np.float32)
        block[0, kept], block[1, kept] = outputs
        blocks.append(block)
        bar.update(len(numbers))
    e, f = np.concatenate(blocks, axis=1)
    return {"e": e, "f": f, "failed": failed, "sha256": np.array(digest.hexdigest())}


def _load(file, model_key):
    if not file.is_file():
        raise DataError(
            f"there is no {file}; another rank was to write it. All ranks need the same disk"
        )
    try:
        arrays = load_arrays(file)
        if str(arrays.get("model", model_key)) != model_key:  # older files do not say it
            raise DataError("it holds outputs of another model")
        found = {name: arrays[name] for name in ("e", "f", "failed", "sha256")}
        e, f, failed = (found[name] for name in ("e", "f", "failed"))
        whole = e.ndim == 2 and e.shape == f.shape and failed.shape == e.shape[:1]
        if not whole or (e.dtype, f.dtype, failed.dtype) != (np.float32, np.float32, bool):
            raise DataError("its arrays have other shapes or types than embeddings")
        return found
    except (DataError, KeyError, IndexError) as error:
        raise DataError(f"{file} is broken ({error}); delete it to have it made again") from error


def _bar(total, show, name):
    import tqdm

    return tqdm.tqdm(total=total, unit="img", desc=one_line(name), disable=None if show else True)
