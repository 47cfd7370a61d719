"""Checks of downloads against known checksums, and copies from a mirror."""

import hashlib

import pytest

from gluonface.cli import main
from gluonface.data.catalog import CATALOG
from gluonface.data.tools.checksums import check_files
from gluonface.errors import InputError


def test_files_are_checked(tmp_path, monkeypatch, capsys):
    entry = CATALOG.get("glint360k")
    monkeypatch.setitem(entry.sums, "train.idx", hashlib.md5(b"0\t0\n").hexdigest())
    (tmp_path / "train.idx").write_bytes(b"0\t0\n")
    (tmp_path / "glint360k_03").write_bytes(b"cut short")
    found = check_files(entry, tmp_path, progress=False)
    assert (found["train.idx"], found["glint360k_03"]) == ("good", "wrong")
    assert found["train.rec"] == "missing"
    assert main(["data", "catalog", "glint360k", "--check", str(tmp_path)]) == 1
    (tmp_path / "glint360k_03").unlink()
    assert main(["data", "catalog", "glint360k", "--check", str(tmp_path)]) == 0
    capsys.readouterr()
    with pytest.raises(InputError, match="none of the files"):
        check_files(entry, tmp_path / "nothing", progress=False)
    with pytest.raises(InputError, match="no sums of MS1MV3"):
        check_files(CATALOG.get("ms1mv3"), tmp_path, progress=False)
    monkeypatch.setitem(
        CATALOG.get("cfp-fp").copies, "cfp_fp.bin", ("0" * 64, hashlib.sha256(b"pack").hexdigest())
    )
    for content, state in ((b"pack", "good"), (b"another", "other")):
        (tmp_path / "cfp_fp.bin").write_bytes(content)
        assert check_files(CATALOG.get("cfp-fp"), tmp_path, progress=False) == {"cfp_fp.bin": state}
    assert main(["data", "catalog", "cfp-fp", "--check", str(tmp_path)]) == 0


def test_files_come_from_a_local_mirror(tmp_path, monkeypatch, capsys):
    entry = CATALOG.get("glint360k")
    monkeypatch.setitem(entry.sums, "train.idx", hashlib.md5(b"0\t0\n").hexdigest())
    mirror, out = tmp_path / "disk", tmp_path / "out"
    (mirror / "glint360k").mkdir(parents=True)
    (mirror / "glint360k" / "train.idx").write_bytes(b"0\t0\n")
    (mirror / "glint360k" / "readme").write_text("not of the set")
    words = ["data", "catalog", "glint360k", "--mirror", str(mirror), "--out", str(out)]
    assert main(words) == 0
    assert "good" in capsys.readouterr().out
    assert (out / "train.idx").read_bytes() == b"0\t0\n"
    assert main(words) == 0
    assert "there" in capsys.readouterr().out
    (mirror / "glint360k" / "train.rec").write_bytes(b"cut short")
    assert main(words) == 1
    assert "8483be5af6f9906e19f85dee49132f8e was expected" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["train.idx"]
    (mirror / "lfw.bin").write_bytes(b"pack")
    (mirror / "calfw.bin").write_bytes(b"another")
    assert main(["data", "catalog", "lfw", "--mirror", str(mirror), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["lfw.bin", "train.idx"]
    (mirror / "vggface2").mkdir()  # as RecordIO; known are the sums of the photographs' archives
    (mirror / "vggface2" / "train.rec").write_bytes(b"records")
    words = ["data", "catalog", "vggface2", "--mirror", str(mirror), "--out", str(out / "vgg")]
    assert main(words) == 0
    assert [path.name for path in (out / "vgg").iterdir()] == ["train.rec"]
    assert main(["data", "catalog", "lfw", "--mirror", str(mirror)]) == 2
    assert main(["data", "catalog", "lfw", "--mirror", str(out / "x"), "--out", "y"]) == 2
