"""The teacher of a distilled run: a network that embeds each batch, or its embeddings on disk."""

from __future__ import annotations

import logging
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.stored_embeddings import StoredEmbeddings
from ..errors import DataError, InputError

if TYPE_CHECKING:
    from ..data import Batch
    from ..deploy import Embedder

__all__ = ["NetworkTeacher", "StoredTeacher", "build_teacher", "read_centers"]

logger = logging.getLogger(__name__)

MEANS = "means"


class NetworkTeacher:
    """A network that embeds the very images that the student gets.

    They are mirrored, cropped, coloured and mixed alike for both.

    Parameters
    ----------
    embedder : gluonface.deploy.Embedder
    batch_size : int
        Images per forward pass.
    """

    def __init__(self, embedder: Embedder, batch_size: int = 64):
        self._embedder, self._batch_size = embedder, batch_size
        self.embedding_size, self.model = embedder.embedding_size, embedder.identity

    def __call__(self, batch: Batch) -> np.ndarray:
        """Return the embeddings of a batch, float32 (B, D_t), not normalised."""
        return self._embedder.outputs(batch.images.transpose(0, 2, 3, 1), self._batch_size)


class StoredTeacher:
    """Embeddings of the whole training set, of which those of the batch are read.

    With two views a mirrored image has the embedding of the mirrored image. Other augmentations are
    not seen by the teacher.

    Parameters
    ----------
    stored : StoredEmbeddings
    """

    def __init__(self, stored: StoredEmbeddings):
        self.stored = stored
        self.embedding_size, self.model = stored.embedding_size, stored.model

    def __call__(self, batch: Batch) -> np.ndarray:
        """Return the embeddings of a batch, float32 (B, D_t), not normalised."""
        return self.stored.rows(batch.index, batch.mirrored)


def build_teacher(config, loader, ctx, whole: bool = True) -> Any:
    """Return the teacher of a configuration, or None.

    Parameters
    ----------
    config : Config
    loader : gluonface.data.Loader
    ctx : mx.Context
        Where a network of MXNet runs.
    whole : bool, default True
        Whether to read all of a file of embeddings and compare its checksum.

    Raises
    ------
    InputError, DataError
        If the teacher and the data do not go together.
    """
    options = config.teacher
    if options.embeddings is not None:
        return StoredTeacher(_open_stored(options.embeddings, config, loader, whole))
    if options.source is None:
        return None
    from ..deploy import Embedder

    embedder = Embedder.load(options.source, ctx=ctx, engine=options.engine)
    if embedder.input_size != tuple(loader.dataset.image_size):
        (high, wide), (height, width) = embedder.input_size, loader.dataset.image_size
        raise InputError(
            f"--teacher {options.source} takes images of {wide} x {high} pixels, the training set "
            f"has {width} x {height}"
        )
    if not embedder.identity.sha256:
        raise InputError(f"--teacher {options.source} has random weights, which teach nothing")
    logger.info("teacher: %s, %d-d", embedder.identity, embedder.embedding_size)
    return NetworkTeacher(embedder, options.batch_size)


def _open_stored(path, config, loader, whole):
    """Return the stored embeddings of the training set, checked."""
    stored = StoredEmbeddings(path)
    stored.require_records(loader.dataset)
    if whole:
        stored.require_whole()
    pipeline = loader.pipeline
    if pipeline.flip is not None and stored.views == 1:
        raise InputError(
            f"{path} has no embeddings of mirrored images, and half of the training images are "
            "mirrored; embed the set with --views, or add --set data.flip=false"
        )
    others = [one.name for one in pipeline if one.name != "flip"]
    if others:
        logger.warning(
            "the teacher's embeddings in %s are of images without %s: their targets are those of "
            "another picture. Relations (rkd, ekd) suffer first; --teacher SOURCE sees what the "
            "student sees",
            path,
            ", ".join(others),
        )
    logger.info(
        "teacher: embeddings of %s, %d images, %d view%s of %d numbers",
        stored.model,
        stored.images,
        stored.views,
        "s" * (stored.views > 1),
        stored.embedding_size,
    )
    return stored


def read_centers(config, loader, teacher: Any) -> Any:
    """Return the teacher's class centres for ``kd_logits``, array-like (C, D_t).

    Raises
    ------
    InputError
        If there are none, or they are of another size than the teacher's embeddings.
    """
    where, classes = config.teacher.centers, loader.dataset.num_classes
    if where is None:
        raise InputError(
            "loss.auxiliary.kd_logits needs the teacher's class centres: teacher.centers = "
            "FILE.npy, as `gluonface export --centers FILE` writes those of a run, or means, of "
            "the embeddings in teacher.embeddings"
        )
    if where == MEANS:
        if not isinstance(teacher, StoredTeacher):
            raise InputError(
                "teacher.centers = 'means' are those of embeddings on disk; give "
                "--teacher-embeddings FILE"
            )
        return teacher.stored.class_means(loader.dataset.labels, classes)
    try:
        centers = np.load(pathlib.Path(where).expanduser(), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"teacher.centers = {where!r} cannot be read: {error}") from error
    if getattr(centers, "ndim", 0) != 2 or centers.shape[1] != teacher.embedding_size:
        raise InputError(
            f"teacher.centers = {where!r} has the shape {getattr(centers, 'shape', None)}, "
            f"expected ({classes}, {teacher.embedding_size}): a centre for each class, of the size "
            "of the teacher's embeddings"
        )
    return centers
