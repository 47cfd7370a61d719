"""The catalogue: complete, consistent, its checks, and what recognises a set by its counts."""

import hashlib
import json
import re

import pytest

from gluonface.cli import main
from gluonface.data.catalog import CATALOG, recognise
from gluonface.data.tools.checksums import check_files
from gluonface.errors import InputError

TRAINING = ["ms1mv2", "ms1mv3", "glint360k", "casia-webface", "vggface2"]
TRAINING += ["webface4m", "webface12m", "webface42m"]
PACKS = ["lfw", "cfp-ff", "cfp-fp", "agedb-30", "calfw", "cplfw", "vgg2-fp"]
WANTED = [*TRAINING, *PACKS, "ijb-b", "ijb-c", "megaface", "ifrt"]


def test_all_sets_are_there_and_say_everything():
    assert sorted(CATALOG.list()) == sorted(WANTED)
    for name in WANTED:
        entry = CATALOG.get(name)
        assert entry.name == name
        assert entry.kind in ("training", "pairs", "protocol")
        assert all((entry.title, entry.about, entry.layout, entry.license, entry.after))
        assert entry.page.startswith("http")
        assert entry.note
        sums = [*entry.sums.values(), *(d for known in entry.copies.values() for d in known)]
        assert all(re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", digest) for digest in sums)
        for count in (entry.images, entry.identities):
            # The words say the same as the numbers.
            assert count is None or f"{count:,}" in entry.about
        if entry.kind == "pairs":
            assert f"{entry.pairs:,} pairs" in entry.about


def test_names_that_users_know():
    assert CATALOG.get("faces_emore").name == "ms1mv2"
    assert CATALOG.get("MS1M-RetinaFace").name == "ms1mv3"
    with pytest.raises(InputError, match="glint360k"):
        CATALOG.get("glint36k")


def test_sets_are_recognised_by_their_counts():
    assert [e.name for e in recognise(85742, 5822653)] == ["ms1mv2"]
    assert recognise(85742, 5822654) == []
    assert [e.name for e in recognise(10572, 490623)] == ["casia-webface"]
    assert recognise(10572, 490624) == []
    assert [e.name for e in recognise(8631, 3000000)] == ["vggface2"]  # its images are not known
    (copy,) = CATALOG.get("calfw").copies["calfw.bin"]
    assert [e.name for e in recognise(pairs=6000, same=3000, sha256=copy)] == ["calfw"]
    assert len(recognise(pairs=6000, same=3000, sha256="0" * 64)) == 4
    assert {e.name for e in recognise(pairs=7000, same=3500)} == {"cfp-ff", "cfp-fp"}
    assert recognise(pairs=7000, same=3499) == []


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


def test_the_command(tmp_path, capsys):
    assert main(["data", "catalog", "--json", str(tmp_path / "all.json")]) == 0
    shown = capsys.readouterr().out
    assert "17,091,657" in shown
    assert len(json.loads((tmp_path / "all.json").read_text())) == len(WANTED)
    assert main(["data", "catalog", "glint360k"]) == 0
    assert "8483be5af6f9906e19f85dee49132f8e" in capsys.readouterr().out
    assert main(["data", "catalog", "webface*"]) == 0
    assert capsys.readouterr().out.count("training") == 3
    assert main(["data", "catalog", "web*", "--check", "."]) == 2
