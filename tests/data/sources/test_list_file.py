"""Lines of list files."""

import pytest

from gluonface.data.sources.list_file import read_list
from gluonface.errors import DataError


@pytest.mark.parametrize(
    "line",
    ["7\t3.0\ta b/1.jpg", "1\ta b/1.jpg\t3\t10\t20", "a b/1.jpg 3", "a b/1.jpg,3", "a b/1.jpg\t3"],
)
def test_lines_of_lists(tmp_path, line):
    file = tmp_path / "faces.lst"
    file.write_text(line + "\r\n")
    labels, names = read_list(file)
    assert (labels.tolist(), names) == ([3], ["a b/1.jpg"])


@pytest.mark.parametrize(
    "text", ["a.png\n", "a.png -1", "a.png 1.5", "1\tx\ta.png", "a.png inf", ""]
)
def test_lists_that_are_none(tmp_path, text):
    file = tmp_path / "faces.lst"
    file.write_text(text)
    with pytest.raises(DataError, match=r"faces\.lst"):
        read_list(file)
