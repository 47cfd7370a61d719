import numpy as np
import pytest

from gluonface.errors import DataError, InputError
from gluonface.evaluation.files import ijb_lists
from gluonface.evaluation.protocols import ijb

ROW = " 1 2 3 4 5 6 7 8 9 10 0.5\n"


def write(path, text):
    path.write_text(text)
    return path


def test_lines_are_counted_in_the_file(tmp_path):
    """Blank lines are none of the list and yet lines."""
    file = write(tmp_path / "pairs.txt", "3 3 1\n\n3 9 0\n3 5 0\n")
    pairs = ijb_lists.read_pairs(file)
    with pytest.raises(DataError, match=r"pairs.txt, line 3: template 9 has no image"):
        ijb.find_pairs(np.array([3, 5]), pairs)
    file = write(tmp_path / "pairs.txt", "\n3 3 1\n\n3 9 2\n")
    with pytest.raises(DataError, match=r"pairs.txt, line 4: the label is 2"):
        ijb_lists.read_pairs(file)


def test_galleries_name_the_line(tmp_path):
    file = write(tmp_path / "G1.csv", "T,S\n3,8,a\n3,8,b\n5,9,a\n\n7,8,a\n")
    lists = ijb_lists.read_template_subjects(file)
    with pytest.raises(DataError, match=r"G1.csv, line 4: template 5 has no image \(2 templates"):
        ijb_lists.check_templates(file, *lists, np.array([3]))
    known = np.array([3, 5, 7])
    ijb_lists.check_templates(file, *lists, known)
    with pytest.raises(
        DataError, match=r"line 6: subject 8 is enrolled with template 7 here and with 3 in line 2"
    ):
        ijb_lists.check_templates(file, *lists, known, unique=True)


def test_lists_are_read(tmp_path):
    media = write(tmp_path / "ijbb_face_tid_mid.txt", "1.jpg 7 70\r\n2.jpg 9 71\r\n\r\n")
    row = "1 2 3 4 5 6 7 8 9 10 0.5"
    points = write(tmp_path / "ijbb_name_5pts_score.txt", f"1.jpg {row}\n2.jpg {row}\n")
    pairs = write(tmp_path / "ijbb_template_pair_label.txt", "7 9 0\n9\t9 1\n7 7 1")
    images = ijb_lists.read_images(media, points)
    assert images.names == ["1.jpg", "2.jpg"]
    assert images.template.tolist() == [7, 9]
    assert images.points[1].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    assert images.quality.tolist() == [0.5, 0.5]
    read = ijb_lists.read_pairs(pairs)
    assert read.first.tolist() == [7, 9, 7]
    assert read.same.tolist() == [False, True, True]
    assert set(images.sha256) == {media.name, points.name}
    assert ijb_lists.find(tmp_path, "pairs") == pairs
    assert ijb_lists.find(tmp_path, "probes", optional=True) is None
    with pytest.raises(InputError, match="no file named"):
        ijb_lists.find(tmp_path, "probes")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 2 1\n1 2\n", r"line 2: '1 2'; expected 3 whole numbers"),
        ("1 2 1\n3 4 0\n1 2 0 4\n", "line 3"),
        ("1 2 1\n\n3 x 0\n", "line 3: '3 x 0'"),
        ("1 2 1\n3 -4 0\n", "line 2"),
        ("1 2 1\n3 4.0 0\n", "line 2"),
        ("1 2 1 3\n4 0\n", "line 1"),
        ("1 2\n1 1 2\n1\n", "line 1"),
        ("1 2 1\n99999999999 4 0\n", "line 2"),
        ("1 2 1\n3 4 2\n", "line 2: the label is 2"),
        ("", "is empty"),
        ("1 2 1\n3 4 1\n", "all 2 pairs are same pairs"),
    ],
)
def test_a_wrong_line_of_pairs_is_named(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        ijb_lists.read_pairs(write(tmp_path / "pairs.txt", text))


@pytest.mark.parametrize(
    ("media", "points", "said"),
    [
        ("a 1 1\nb 2\n", None, "line 2: 'b 2'; expected image name, template id, media id"),
        ("a 1 1\nb 2 x\n", None, "line 2"),
        ("", None, "lists no image"),
        ("a 1 1\nb 2 2\n", f"a{ROW}", "lists 1 images and .* 2"),
        ("a 1 1\nb 2 2\n", f"a{ROW}c{ROW}", "line 2 is about c, but image 2 of .* is b"),
        ("a 1 1\n", "a 1 2 3\n", "line 1: .* expected 12 columns"),
        ("a 1 1\n", f"a{ROW[:-4]}nan\n", "line 1"),
    ],
)
def test_wrong_lists_of_images_are_named(tmp_path, media, points, said):
    media = write(tmp_path / "media.txt", media)
    points = points and write(tmp_path / "points.txt", points)
    with pytest.raises(DataError, match=said):
        ijb_lists.read_images(media, points)
