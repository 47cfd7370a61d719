import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.data.alignment import TEMPLATE
from gluonface.data.sources import open_source
from gluonface.errors import DataError, InputError
from gluonface.evaluation.files import image_list


def test_alignment_is_the_least_squares_similarity():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (200, 180, 3)).astype(np.uint8), (0, 0), 4)
    points = TEMPLATE * 1.3 @ np.array([[0.9, 0.3], [-0.3, 0.9]]) + [20, 5]
    points = points + rng.normal(size=(5, 2))
    aligned = image_list.align(image, points)
    assert aligned.shape == (112, 112, 3)
    # Least squares solved the long way: a x - b y + c, b x + a y + d.
    rows, wanted = [], TEMPLATE.ravel()
    for x, y in points:
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
    a, b, c, d = np.linalg.lstsq(np.array(rows), wanted, rcond=None)[0]
    known = cv2.warpAffine(image, np.array([[a, -b, c], [b, a, d]]), (112, 112), borderValue=0.0)
    assert np.abs(aligned.astype(int) - known).max() <= 1  # rounding of the last bit
    with pytest.raises(DataError, match="lie in one place"):
        image_list.align(image, np.ones((5, 2)))


def test_people_and_pictures(tmp_path):
    for name in ("ann/1.jpg", "bob/x/2.PNG", "bob/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"lacks 1 of the 2 listed images; the first is cat/3.jpg"):
        image_list.ImageList(tmp_path, ["ann/1.jpg", "cat/3.jpg"])
    faces = image_list.FaceImages(open_source(tmp_path))
    assert faces.names == ["ann/1.jpg", "bob/x/2.PNG"]
    key = faces.key()
    assert image_list.FaceImages(open_source(tmp_path), resize=True).key() != key
    with pytest.raises(DataError, match=r"ann/1\.jpg cannot be used"):
        faces.read(0)
    cv2.imwrite(str(tmp_path / "ann/1.jpg"), np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(DataError, match="80x60; expected an aligned face of 112x112"):
        image_list.ImageList(tmp_path, ["ann/1.jpg"]).read(0)
    resized = image_list.ImageList(tmp_path, ["ann/1.jpg"], resize=True).read(0)
    assert resized.shape == (112, 112, 3)
    faces = image_list.FaceImages(open_source(tmp_path))
    assert faces.key() != key  # a file has changed
    with pytest.raises(DataError, match="80x60; expected an aligned face of 112x112"):
        faces.read(0)
    assert image_list.FaceImages(open_source(tmp_path), resize=True).read(0).shape == (112, 112, 3)


def test_lists_name_the_wrong_line(tmp_path):
    file = tmp_path / "list.txt"
    for text, said in (
        ("x 1 g\ny 2\n", "line 2: 'y 2'; expected p, i, g"),
        ("x 1 g\nx 2 g\n", "line 2: x is listed in line 1 already"),
        ("\n", "lists nothing"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=said):
            image_list.read_list(file, 3, "p, i, g")
    file.write_text("my face.jpg 1 g\nthe\tother\tone\n")
    assert image_list.read_list(file, 3, "")[0] == ["my face.jpg", "the"]
