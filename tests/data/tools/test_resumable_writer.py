"""Sets that are written in several goes."""

import pytest
from packed_faces import QUIET, content, face

from gluonface.data import RecordDataset
from gluonface.data.tools import resumable_writer
from gluonface.data.tools.transform_records import merge
from gluonface.errors import DataError


def test_interrupted_work_goes_on(people, tmp_path, monkeypatch):
    out, calls = tmp_path / "set", []
    labels = [0, 0, 0, 1, 1, 2, 2, 2]
    data = [face(n) for n in range(8)]

    def load(i, stop):
        calls.append(i)
        if i == stop:
            raise KeyboardInterrupt
        if i == 1:
            raise DataError("broken")
        return data[i]

    with pytest.raises(KeyboardInterrupt):
        resumable_writer.write_record_set(
            out, labels, lambda i: load(i, 5), {"x": 1}, workers=1, **QUIET
        )
    assert not (out / "train.rec").exists()
    with open(out / ".train.rec.part", "ab") as part:
        part.write(b"half a record")  # as a kill leaves it
    del calls[:]
    found = resumable_writer.write_record_set(
        out, labels, lambda i: load(i, None), {"x": 1}, workers=1, **QUIET
    )
    assert min(calls) == 5
    assert found["left_out"] == [("1", "broken")]
    assert content(out) == [(labels[i], data[i]) for i in range(8) if i != 1]
    resumable_writer.write_record_set(
        tmp_path / "whole", labels, lambda i: load(i, None), {}, workers=2, **QUIET
    )
    for name in ("train.rec", "train.idx", "property"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_lost_part_begins_anew(tmp_path, caplog):
    def load(i, stop=None):
        if i == stop:
            raise KeyboardInterrupt
        return face(i)

    with pytest.raises(KeyboardInterrupt):
        resumable_writer.write_record_set(
            tmp_path, [0, 0, 0], lambda i: load(i, 2), {}, workers=1, **QUIET
        )
    (tmp_path / ".train.rec.part").write_bytes(b"")
    resumable_writer.write_record_set(tmp_path, [0, 0, 0], load, {}, **QUIET)
    assert len(content(tmp_path)) == 3
    assert "begins again" in caplog.text


def test_other_labels_begin_anew(packed, tmp_path, monkeypatch):
    """A map changes labels and not the order of the images: half of each would be a mixed set."""
    read = RecordDataset.read

    def interrupted(self, index):
        if index == 6:
            raise KeyboardInterrupt
        return read(self, index)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(RecordDataset, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            merge([packed], out, identity_map={(0, 1): (0, 0)}, workers=1, **QUIET)
    merge([packed], out, identity_map={(0, 2): (0, 1)}, **QUIET)
    assert [label for label, _ in content(out)] == [0, 1, 1, 1, 1, 1, 1, 1]


def test_other_settings_begin_anew(tmp_path):
    def load(i, stop=None):
        if i == stop:
            raise KeyboardInterrupt
        return face(i)

    with pytest.raises(KeyboardInterrupt):
        resumable_writer.write_record_set(tmp_path, [0, 0], lambda i: load(i, 1), {"x": 1}, **QUIET)
    calls = []
    resumable_writer.write_record_set(
        tmp_path, [0, 0], lambda i: calls.append(i) or face(i), {"x": 2}, **QUIET
    )
    assert sorted(calls) == [0, 1]
