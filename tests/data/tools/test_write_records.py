"""Packing, unpacking, rearranging and merging of sets, and pairs into packs."""

import json

import pytest
from packed_faces import QUIET, SIZE, content, face, table

from gluonface.cli import main
from gluonface.data import RecordDataset
from gluonface.data.tools.write_records import pack
from gluonface.errors import InputError


def test_folders_of_people(people, packed):
    assert table(packed / "identities.csv") == [
        ["identity", "name"],
        ["0", "9"],
        ["1", "10"],
        ["2", "ann"],
    ]
    expected = [
        (label, path.read_bytes())
        for label, person in enumerate(("9", "10", "ann"))
        for path in sorted((people / person).iterdir())
    ]
    assert content(packed) == expected
    assert RecordDataset(packed).num_classes == 3
    assert not (packed / ".writing.json").exists()


def test_what_is_left_out_is_listed(people, tmp_path):
    (people / "ann" / "0.png").write_bytes(face(7)[:-30])
    (people / "ann" / "1.png").write_bytes(face(7, SIZE + 4))
    (people / "10" / "2.png").write_bytes(b"")
    (people / "10" / "film.gif").write_bytes(b"GIF89a")
    (people / "nobody").mkdir()
    found = pack(people, tmp_path / "set", size=SIZE, min_images=2, **QUIET)
    assert (found["images"], found["identities"], found["few_images"]) == (4, 2, 1)
    rows = {row[0].rsplit("/", 1)[-1]: row for row in table(tmp_path / "set" / "left_out.csv")[1:]}
    assert len(rows) == 5
    assert "convert it" in rows["film.gif"][1]
    assert "empty folder" in rows["nobody"][1]
    assert any("28 x 28" in row[1] and "--resize" in row[1] for row in rows.values())
    again = pack(people, tmp_path / "other", size=SIZE, resize=True, **QUIET)
    assert again["images"] == 6


def test_lists(people, tmp_path):
    file = tmp_path / "faces.lst"
    file.write_text("0\t7.000000\t9/0.png\n1\t5\tann/0.png\n2\t5\tann/1.png\n")
    pack(file, tmp_path / "a", size=SIZE, root=people, **QUIET)
    file.write_text("# path label\r\n9/0.png,7\r\nann/0.png,5\r\nann/1.png,5\r\n")
    pack(file, tmp_path / "b", size=SIZE, root=people, **QUIET)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert table(tmp_path / "a" / "identities.csv")[1:] == [["0", "5"], ["1", "7"]]


def test_a_set_is_not_overwritten_by_chance(people, packed):
    with pytest.raises(InputError, match="--overwrite"):
        pack(people, packed, size=SIZE, **QUIET)
    pack(people, packed, size=SIZE, overwrite=True, **QUIET)
    with pytest.raises(InputError, match="is a file"):
        pack(people, packed / "property", size=SIZE, **QUIET)
    for change in ({"size": 0}, {"size": 9999}, {"quality": 0}, {"quality": 102}):
        with pytest.raises(InputError, match="a number from"):
            pack(people, packed / "x", **{"size": SIZE, **change}, **QUIET)


def test_names_that_are_no_text(people, tmp_path):
    import subprocess
    import sys

    odd = people / b"odd \xff\n\xc3\xa9".decode("utf-8", "surrogateescape")
    odd.mkdir()
    (odd / "1.png").write_bytes(face(3))
    (odd / "2.png").write_bytes(b"")
    code = "import sys; from gluonface.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["data", "pack", str(people), str(tmp_path / "set"), "--size", str(SIZE)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--json", str(tmp_path / "j")], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert b"2.png: it is empty" in done.stdout
    written = (tmp_path / "set" / "identities.csv").read_bytes()
    assert b'"odd \xff\n\xc3\xa9"' in written  # the bytes that it was
    assert json.loads((tmp_path / "j").read_text())["images"] == 9


def test_the_commands(people, tmp_path, capsys):
    at = {name: str(tmp_path / name) for name in ("s", "u", "h", "m", "sub", "r.json")}
    size = ["--size", str(SIZE)]
    assert main(["data", "pack", str(people), at["s"], *size, "--json", at["r.json"]]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["images"] == 8
    assert main(["data", "unpack", at["s"], at["u"]]) == 0
    assert main(["data", "shuffle", at["s"], at["h"], "--by", "identity"]) == 0
    assert main(["data", "merge", at["s"], at["h"], "--out", at["m"]]) == 0
    (tmp_path / "ids").write_text("0\n2\n")
    assert main(["data", "subset", at["m"], at["sub"], "--identities", str(tmp_path / "ids")]) == 0
    assert "identities   2" in capsys.readouterr().out
    assert main(["data", "verify", at["s"], at["sub"]]) == 0
    assert main(["data", "pack", at["s"], at["s"]]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_the_same_picture_under_two_people_is_pointed_out(tmp_path, caplog):
    for name, seed in (("ann/1.png", 1), ("ann/2.png", 2), ("ann/3.png", 2), ("bob/1.png", 1)):
        (tmp_path / "people" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "people" / name).write_bytes(face(seed))
    found = pack(tmp_path / "people", tmp_path / "set", size=SIZE, **QUIET)
    assert (found["images"], found["shared_pictures"]) == (4, 1)
    assert "1 pictures are there under two people, such as " in caplog.text
    assert "ann/1.png and " in caplog.text
