"""From photographs to faces."""

import numpy as np
import pytest
from recognition_cases import Marked, people_images

from gluonface.data import images
from gluonface.deploy import Embedder
from gluonface.errors import DataError, InputError
from gluonface.recognition import FaceReader


@pytest.fixture(scope="module")
def embedder(small_prefix):
    return Embedder.load(small_prefix)


@pytest.fixture(scope="module")
def scene():
    """Two faces, of 112 and of 224 pixels, on a grey ground."""
    small, large = people_images(2, 1)[:, 0]
    photo = np.full((400, 500, 3), 128, np.uint8)
    photo[20:132, 30:142] = small
    photo[100:324, 200:424] = large.repeat(2, axis=0).repeat(2, axis=1)
    return photo, small, large


PLACES = (30, 20, 112), (200, 100, 224)


def test_faces_of_a_photograph_largest_first(embedder, scene):
    photo, small, large = scene
    first, second = FaceReader(embedder, Marked(*PLACES)).read(photo)
    assert first.box == (200, 100, 224, 224)
    assert second.box == (30, 20, 112, 112)
    np.testing.assert_array_equal(second.crop, small)
    assert np.abs(first.crop.astype(int) - large).mean() < 6
    for face in (first, second):
        (expected,) = embedder.embed(face.crop)
        np.testing.assert_allclose(face.embedding, expected, atol=1e-6)
        e, f = embedder.embed_views(face.crop)
        np.testing.assert_allclose(face.output, (e + f)[0], rtol=1e-5, atol=1e-6)
        assert face.norm == pytest.approx(np.linalg.norm(face.output), rel=1e-6)


def test_forms_of_a_photograph(embedder, scene, tmp_path):
    data = images.encode(scene[0], 101)
    (tmp_path / "a.png").write_bytes(data)
    reader = FaceReader(embedder, Marked(*PLACES))
    expected = reader.read(scene[0])[0].embedding
    for photo in (data, tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_array_equal(reader.read(photo)[0].embedding, expected)


def test_exif_is_obeyed(embedder, scene):
    """A camera that was held on its side says so in the file."""
    import struct

    jpeg = images.encode(np.ascontiguousarray(np.rot90(scene[0])), 100)
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    reader = FaceReader(embedder, Marked(*PLACES))
    assert reader.read(data)[0].embedding @ reader.read(scene[0])[0].embedding > 0.99


def test_crops_need_no_detector(embedder, scene):
    reader = FaceReader(embedder, "none", flip="none")
    (face,) = reader.read(scene[1])
    assert (face.points, face.confidence, reader.input) == (None, None, "crops")
    np.testing.assert_allclose(face.embedding, embedder.embed(scene[1], flip="none")[0], atol=1e-6)
    with pytest.raises(DataError, match="500x400; without a detector"):
        reader.read(scene[0])


def test_identity_and_input_are_what_a_calibration_is_compared_with(embedder):
    reader = FaceReader(embedder, Marked(), flip="none")
    assert reader.input == "marked 1"
    assert reader.identity.sha256 == embedder.identity.sha256
    assert set(reader.identity.sha256) == {"params"}
    assert reader.origin.flip == "none"


def test_boxes_are_clipped_and_what_lies_outside_is_no_face(embedder, scene):
    places = (-20, -30, 112), (600, 10, 112), (450, 350, 112)
    faces = FaceReader(embedder, Marked(*places)).read(scene[0])
    assert [face.box for face in faces] == [(0, 0, 92, 82), (450, 350, 50, 50)]
    assert ["cut" in face.quality.reasons for face in faces] == [False, True]  # by its landmarks


def test_a_detector_that_gives_nonsense_gives_no_face(embedder, scene):
    from gluonface.data.detectors import Face

    nonsense = [
        Face(np.full((5, 2), np.nan), (0, 0, 50, 50), 0.9),
        Face(np.ones((5, 2)), (0, 0, 50, 50), 0.9),
        Face(np.eye(5)[:, :2] * 30, (0, 0, 0, 50), 0.9),
    ]
    assert FaceReader(embedder, lambda image: nonsense).read(scene[0]) == []


def test_a_photograph_on_its_side_is_found_with_turn(embedder, scene):
    """The detector here finds upright faces only: where rows of the photograph are level."""
    photo = scene[0]

    def upright(image):
        return Marked(*PLACES)(image) if np.array_equal(image, photo) else []

    upright_reader = FaceReader(embedder, upright, turn=True)
    expected = upright_reader.read(photo)[0]
    for quarters in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(photo, quarters))
        assert FaceReader(embedder, upright).read(turned) == []
        first, second = upright_reader.read(turned)
        assert first.embedding @ expected.embedding > 0.999
        assert first.box[2:] == expected.box[2:]
        inside = (first.points >= 0) & (first.points < np.array(turned.shape[1::-1]))
        assert inside.all()
        assert second.area < first.area


def test_real_faces_on_their_sides(embedder, shared):
    """Rotated photographs are found by YuNet with `turn`, and give the same crops."""
    from gluonface.data import RecordDataset

    file = shared / "data" / "yunet" / "yunet_n_640_640.onnx"
    dataset = RecordDataset(shared / "data" / "att")
    reader = FaceReader(embedder, f"yunet:{file}", turn=True)
    for number in (0, 45, 133):
        photo = np.full((260, 300, 3), 100, np.uint8)
        photo[70:182, 90:202] = dataset[number][0]
        (expected,) = reader.read(photo)
        for quarters in (1, 2, 3):
            (found,) = reader.read(np.ascontiguousarray(np.rot90(photo, quarters)))
            assert np.abs(found.crop.astype(int) - expected.crop).mean() < 12


@pytest.mark.parametrize(
    ("photo", "error", "said"),
    [
        ("nowhere.jpg", InputError, "nowhere.jpg cannot be read"),
        (b"no picture", DataError, "cannot be read as a picture"),
        (b"", DataError, "it is empty"),
        (np.zeros((10, 10)), InputError, "expected uint8"),
        (np.zeros((0, 10, 3), np.uint8), InputError, "expected uint8"),
    ],
)
def test_what_is_no_photograph(embedder, photo, error, said):
    with pytest.raises(error, match=said):
        FaceReader(embedder, Marked()).read(photo)


def test_wrong_options(embedder):
    with pytest.raises(InputError, match="flip is 'concat'"):
        FaceReader(embedder, flip="concat")
    with pytest.raises(InputError, match="detector 'haar' is unknown"):
        FaceReader(embedder, "haar")
