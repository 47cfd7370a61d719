"""Files with landmarks of photographs."""

import pytest

from gluonface.data.sources.photo_folder import find_others, find_photos, read_landmarks
from gluonface.errors import DataError, InputError


@pytest.mark.parametrize("between", [" ", "\t", ","])
def test_names_of_photographs_may_hold_blanks(tmp_path, between):
    file, numbers = tmp_path / "points.txt", [str(n) for n in range(10)]
    lines = [between.join([name, *numbers, "0.9"]) for name in ("Ann Lee/a b.jpg", "x.jpg 2.PNG")]
    file.write_text("\n".join(lines))
    assert sorted(read_landmarks(file)) == ["Ann Lee/a b.jpg", "x.jpg 2.PNG"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg 1 2 3", "line 1"),
        ("# x\na.jpg 1 2 3 4 5 6 7 8 9 nan", "line 2"),
        ("a.jpg 1 2 3 4 5 6 7 8 9 10\na.jpg 1 2 3 4 5 6 7 8 9 10", "second time"),
        ("", "no landmarks"),
    ],
)
def test_landmark_files_that_are_none(tmp_path, text, message):
    file = tmp_path / "points.txt"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_landmarks(file)


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": [[1, 2]]}', '{"a": "x"}'])
def test_json_landmark_files_that_are_none(tmp_path, text):
    file = tmp_path / "points.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"points\.json"):
        read_landmarks(file)


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_read(tmp_path, monkeypatch):
    import os

    for name in ("ann/1.jpg", "locked/1.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    scan = os.scandir

    def refuse(path):  # the tests may run as root, who may read all
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_photos(tmp_path) == ["ann/1.jpg"]
    assert find_others(tmp_path) == [("locked", "the folder cannot be read: Permission denied")]
    with pytest.raises(InputError, match="locked cannot be read: Permission denied"):
        find_photos(tmp_path / "locked")
