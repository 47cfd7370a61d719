import numpy as np
import pytest

from gluonface.errors import DataError, InputError
from gluonface.evaluation.files import ijb_lists


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("line", [b"5,\xff", b"5,\0", b"5," + 200_000 * b"9"])
def test_galleries_that_are_no_text(tmp_path, line):
    (tmp_path / "G1.csv").write_bytes(b"T,S\n3,8\n" + line + b"\n")
    with pytest.raises(DataError, match=r"G1\.csv, line [13]: "):  # text is decoded in blocks
        ijb_lists.read_template_subjects(tmp_path / "G1.csv")


def test_long_lists_are_read_piece_by_piece(tmp_path, monkeypatch):
    from gluonface.evaluation.files import text_tables

    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.integers(0, 10**6, (500, 2)), rng.integers(0, 2, 500)])
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    for size in (7, 64, 1 << 20):
        monkeypatch.setattr(text_tables, "_BYTES", max(size, 40))
        read = ijb_lists.read_pairs(write(tmp_path / "pairs.txt", text))
        np.testing.assert_array_equal(np.column_stack([read.first, read.second, read.same]), rows)
    lines = text.splitlines()
    lines[321] = "1 2 three"
    with pytest.raises(DataError, match="line 322: '1 2 three'"):
        ijb_lists.read_pairs(write(tmp_path / "pairs.txt", "\n".join(lines)))


def test_gallery_lists(tmp_path):
    good = write(tmp_path / "g.csv", "TEMPLATE,SUBJECT,X\n5,50,a\n5,50,b\n\n6,60,c\n")
    templates_, subjects = ijb_lists.read_template_subjects(good)
    assert (templates_.tolist(), subjects.tolist()) == ([5, 6], [50, 60])
    for text, said in (
        ("T,S\n5,50\n5,51\n", "line 3: template 5 belongs to subject 51 here and to 50"),
        ("T,S\n5\n", "line 2: '5'; expected template id, subject id"),
        ("T,S\n", "lists no template"),
    ):
        with pytest.raises(DataError, match=said):
            ijb_lists.read_template_subjects(write(tmp_path / "g.csv", text))
    with pytest.raises(InputError, match="there is no file"):
        ijb_lists.read_template_subjects(tmp_path / "none.csv")
