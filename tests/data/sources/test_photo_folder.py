"""Files with landmarks of photographs."""

import pytest

from gluonface.data.sources.photo_folder import read_landmarks
from gluonface.errors import DataError


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
