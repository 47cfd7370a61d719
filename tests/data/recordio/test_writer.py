"""Writing a set: what is refused, and what an interruption leaves."""

import subprocess
import sys

import pytest
from record_files import png

from gluonface.data import RecordDataset, RecordWriter
from gluonface.errors import DataError, InputError


def test_writer_refuses(tmp_path):
    with RecordWriter(tmp_path / "set", num_classes=5) as writer:
        writer.add(png(), 3)
        writer.add(png(1), 1)
        for label in (-1, 0.5, 5, 1 << 24):
            with pytest.raises(InputError, match="whole number from 0 to 4"):
                writer.add(png(), label)
        with pytest.raises(InputError, match="label 3 comes back at image 2"):
            writer.add(png(), 3)
        with pytest.raises(InputError, match="20 x 20 pixels, those before it 16 x 16"):
            writer.add(png(side=20), 1)
        for data, reason in ((b"", "empty"), (b"hello there", "not a JPEG"), (png()[:99], "early")):
            with pytest.raises(InputError, match=reason):
                writer.add(data, 1)
    assert RecordDataset(tmp_path / "set").labels.tolist() == [
        3,
        1,
    ]  # what was refused is not in it
    with pytest.raises(InputError, match="no image was added"), RecordWriter(tmp_path / "none"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        RecordWriter(tmp_path / "file")


def test_failed_writer_leaves_the_old_set(made):
    faces = made()
    before = {path.name: path.read_bytes() for path in faces.folder.iterdir()}

    class Interrupted(Exception):
        pass

    def interrupted():
        with RecordWriter(faces.folder) as writer:
            writer.add(png(), 0)
            raise Interrupted

    with pytest.raises(Interrupted):
        interrupted()
    assert {path.name: path.read_bytes() for path in faces.folder.iterdir()} == before


def test_writer_killed_while_renaming_leaves_no_mix(made, monkeypatch):
    """Whichever rename is the last one, a reader finds the old set, an error or the new set."""
    import os

    replace = os.replace
    for allowed in range(4):
        faces = made(people=3, folder=f"killed{allowed}")
        calls = []

        def stopping(source, target, calls=calls, allowed=allowed):
            calls.append(target)
            if len(calls) > allowed:
                raise KeyboardInterrupt
            replace(source, target)

        monkeypatch.setattr(os, "replace", stopping)
        try:
            made(people=2, folder=f"killed{allowed}")
        except KeyboardInterrupt:
            with pytest.raises(DataError, match=r"train\.idx is missing"):
                RecordDataset(faces.folder)
        else:
            assert allowed == 3
            assert len(RecordDataset(faces.folder)) == 10
        monkeypatch.setattr(os, "replace", replace)


def test_a_second_process_writes_no_set_of_the_same_name(tmp_path):
    code = "from gluonface.data import RecordWriter; import sys; RecordWriter(sys.argv[1])"
    other = [sys.executable, "-c", code, str(tmp_path)]
    with RecordWriter(tmp_path) as writer:
        writer.add(png(), 0)
        refused = subprocess.run(other, capture_output=True, text=True)
        assert refused.returncode
        assert "is in use: process " in refused.stderr
        RecordWriter(tmp_path, name="test").discard()
    assert RecordDataset(tmp_path).labels.tolist() == [0]
    assert not list(tmp_path.glob(".*"))
    # One that was killed holds nothing.
    subprocess.run([*other[:2], code + "; import os; os._exit(9)", str(tmp_path)])
    assert (tmp_path / ".train.lock").exists()
    for end in ("close", "discard", "pause"):
        writer = RecordWriter(tmp_path)
        writer.add(png(), 1)
        getattr(writer, end)()
        assert not (tmp_path / ".train.lock").exists()
    assert RecordDataset(tmp_path).labels.tolist() == [1]
