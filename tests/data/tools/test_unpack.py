"""Sets as files."""

import subprocess
import sys

import pytest
from packed_faces import COUNTS, QUIET, SIZE, content

from gluonface.data.tools.transform_records import merge, shuffle, subset
from gluonface.data.tools.unpack import unpack_records
from gluonface.data.tools.write_records import pack
from gluonface.errors import InputError


def test_unpacked_and_packed_again(packed, tmp_path):
    found = unpack_records(packed, tmp_path / "files", **QUIET)
    assert found == {"images": 8, "identities": 3, "named": 3, "left_out": []}
    pack(tmp_path / "files", tmp_path / "again", size=SIZE, **QUIET)
    assert content(tmp_path / "again") == content(packed)


def test_unpacking_again_writes_what_is_missing_or_another(packed, tmp_path):
    unpack_records(packed, tmp_path / "files", **QUIET)
    first, second, third = sorted((tmp_path / "files").rglob("*.png"))[:3]
    whole = second.read_bytes()
    second.write_bytes(whole[:-9] + b"otherend!")
    third.unlink()
    before = first.stat().st_mtime_ns
    unpack_records(packed, tmp_path / "files", **QUIET)
    assert (second.read_bytes(), third.exists()) == (whole, True)
    assert first.stat().st_mtime_ns == before


def test_links_in_the_target_are_not_followed(packed, tmp_path):
    unpack_records(packed, tmp_path / "files", **QUIET)
    first = sorted((tmp_path / "files").rglob("*.png"))[0]
    whole = first.read_bytes()
    victim = tmp_path / "victim"
    for content_there in (b"precious", whole):
        victim.write_bytes(content_there)
        first.unlink()
        first.symlink_to(victim)
        first.with_name(f".{first.name}.part").symlink_to(victim)
        unpack_records(packed, tmp_path / "files", **QUIET)
        assert victim.read_bytes() == content_there
        assert first.read_bytes() == whole
        assert not first.is_symlink()
        first.with_name(f".{first.name}.part").unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / first.parent.name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link on the way leads out"):
        unpack_records(packed, tmp_path / "other", merge=True, **QUIET)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_target_that_is_not_empty_is_refused(packed, tmp_path):
    out = tmp_path / "out"
    (out / "bob").mkdir(parents=True)
    with pytest.raises(InputError, match=r"not empty: it holds bob, .*--merge"):
        unpack_records(packed, out, **QUIET)
    assert [path.name for path in out.iterdir()] == ["bob"]
    unpack_records(packed, out, merge=True, **QUIET)
    assert {path.name for path in out.iterdir()} == {"9", "10", "ann", "bob"}
    pack(out, tmp_path / "other", size=SIZE, **QUIET)
    unpack_records(packed, tmp_path / "first", **QUIET)
    with pytest.raises(InputError, match="not written from this set"):
        unpack_records(tmp_path / "other", tmp_path / "first", **QUIET)


def test_what_a_killed_process_left_of_the_marker_is_no_content(packed, tmp_path):
    (tmp_path / "out").mkdir()
    code = (
        "import os, sys; from gluonface.files import atomic_write\n"
        "with atomic_write(sys.argv[1]): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "out/.unpacked.json"], check=False)
    assert len(list((tmp_path / "out").iterdir())) == 1
    unpack_records(packed, tmp_path / "out", **QUIET)
    assert not list((tmp_path / "out").glob(".*.part"))


def test_names_come_back_from_identities_csv(packed, tmp_path):
    """Through every command that makes sets of sets, and to folders again."""
    subset(packed, tmp_path / "s", first=3, **QUIET)
    plain = tmp_path / "plain"
    pack(packed, plain, size=SIZE, **QUIET)
    (plain / "identities.csv").unlink()
    merge([tmp_path / "s", plain], tmp_path / "m", **QUIET)
    shuffle(tmp_path / "m", tmp_path / "i", by="identity", seed=1, **QUIET)
    shuffle(tmp_path / "i", tmp_path / "x", by="image", **QUIET)
    pack(tmp_path / "x", tmp_path / "again", size=SIZE, **QUIET)
    for made in ("s", "m", "i", "x", "again"):
        unpack_records(tmp_path / made, tmp_path / f"out-{made}", **QUIET)
        for name, count in COUNTS.items():
            assert len(list((tmp_path / f"out-{made}" / name).iterdir())) == count, made
