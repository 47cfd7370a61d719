"""The index of a .rec file: read, wrong, and made again."""

import numpy as np
import pytest
from record_files import png, write

from gluonface.data import RecordDataset, rebuild_index
from gluonface.data.recordio.index import read_index
from gluonface.data.recordio.record import pack
from gluonface.errors import DataError


def test_index_lines_in_any_order(made):
    faces = made()
    index = faces.folder / "train.idx"
    lines = index.read_text().splitlines()
    np.random.Generator(np.random.PCG64(0)).shuffle(lines)
    index.write_text("\r\n".join(lines) + "\r\n\r\n")  # Windows line ends, a blank line
    dataset = RecordDataset(faces.folder)
    assert dataset.labels.tolist() == faces.labels.tolist()
    for i in (0, 13, 29):
        np.testing.assert_array_equal(dataset[i][0], faces.pixels[i])


def test_images_missing_from_the_index(made):
    faces = made()
    index = faces.folder / "train.idx"
    lines = index.read_text().splitlines()
    index.write_text("\n".join(lines[:3] + lines[5:]))  # images 2 and 3, keys 3 and 4
    dataset = RecordDataset(faces.folder)
    kept = [0, 1, *range(4, 30)]
    assert dataset.labels.tolist() == faces.labels[kept].tolist()
    np.testing.assert_array_equal(dataset[2][0], faces.pixels[4])


def test_read_index_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("gluonface.data.recordio.index._CHUNK", 100)
    path = tmp_path / "a.idx"
    path.write_text("".join(f"{i}\t{i * 40}\n" for i in range(1000)))
    keys, offsets = read_index(path)
    assert keys is None
    assert np.array_equal(offsets, np.arange(1000) * 40)
    order = [*range(500), 999, *range(500, 999)]
    path.write_text("".join(f"{i}\t{i * 40}\n" for i in order)[:-1])  # no line end at the end
    keys, offsets = read_index(path)
    assert keys.tolist() == order
    assert np.array_equal(offsets, keys * 40)


def test_missing_index_is_rebuilt(made):
    faces = made()
    index = faces.folder / "train.idx"
    before = index.read_bytes()
    index.unlink()
    with pytest.raises(DataError, match=r"train\.idx is missing.*rebuild_index\('.*train\.rec'\)"):
        RecordDataset(faces.folder)
    assert rebuild_index(faces.folder / "train.rec") == 37
    assert index.read_bytes() == before


def test_rebuilt_index_of_a_plain_file(tmp_path):
    ids = [4, 2, 9]
    folder = write(tmp_path / "set", [pack(0.0, i, png(i)) for i in ids], keys=ids)
    before = (folder / "train.idx").read_bytes()
    (folder / "train.idx").unlink()
    assert rebuild_index(folder / "train.rec") == 3
    assert (folder / "train.idx").read_bytes() == before
    write(folder, [pack(0.0, 0, png(i)) for i in ids])  # ids that repeat say nothing
    rebuild_index(folder / "train.rec")
    assert read_index(folder / "train.idx")[0] is None


def test_index_lines_that_are_none(made):
    faces = made()
    index = faces.folder / "train.idx"
    lines = index.read_text().splitlines()
    for bad in ("x\t40", "3", "3\t40\t50", "3\t4.5", "3\t-40", "3\t99999999999999999999"):
        index.write_text("\n".join([*lines[:3], bad, *lines[4:]]) + "\n")
        with pytest.raises(DataError, match=r"train\.idx: (line 4 is|offset -?\d+ is outside)"):
            RecordDataset(faces.folder)
    index.write_text("\n".join([*lines, "5\t40"]) + "\n")
    with pytest.raises(DataError, match="key 5 is there twice"):
        RecordDataset(faces.folder)
    index.write_text("\n".join([*lines, f"99\t{lines[5].split()[1]}"]) + "\n")
    with pytest.raises(DataError, match="two keys have the offset"):
        RecordDataset(faces.folder)
    index.write_text("")
    with pytest.raises(DataError, match="is empty"):
        RecordDataset(faces.folder)
