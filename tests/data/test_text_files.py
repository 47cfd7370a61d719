"""The small text files beside the images: what is no text, and what is no CSV."""

import pytest

from gluonface.data.text_files import comma_fields, numbered_lines, read_text, split_fields
from gluonface.errors import DataError, InputError


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "x").write_bytes("\ufeffé,1\n".encode())
    assert read_text(tmp_path / "x") == "é,1\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\nb\xff\n", r"x is not a text file \(invalid start byte\)"),
        (b"a\nb\0c\n", r"x is not a text file \(line 2 holds a zero byte\)"),
    ],
)
def test_what_is_no_text(tmp_path, content, expected):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_text(tmp_path / "x")


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="x cannot be read: No such file"):
        read_text(tmp_path / "x")


def test_lines_that_are_no_csv_stay_whole():
    assert comma_fields('a,"b,c",d') == ["a", "b,c", "d"]
    long = "a" * 200_000  # csv takes no longer fields than 128 KiB
    assert comma_fields(f"{long},1") == [f"{long},1"]


def test_lines_have_their_numbers(tmp_path):
    (tmp_path / "x").write_text("a b\n\n# c\n  \nd\r\n")
    assert numbered_lines(tmp_path / "x") == [(1, "a b"), (5, "d")]


def test_fields_are_split_at_the_first_separator_there_is():
    assert split_fields("a b\tc,d") == ["a b", "c,d"]
    assert split_fields("a b\tc,d", ",\t") == ["a b\tc", "d"]
    assert split_fields('"a, b", c') == ["a, b", "c"]
    assert split_fields(" a  b ") == ["a", "b"]
