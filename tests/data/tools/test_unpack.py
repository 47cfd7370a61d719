"""Sets as files."""

import pytest
from packed_faces import QUIET, SIZE, content

from gluonface.data.tools.unpack import unpack_records
from gluonface.data.tools.write_records import pack
from gluonface.errors import InputError


def test_unpacked_and_packed_again(packed, tmp_path):
    found = unpack_records(packed, tmp_path / "files", **QUIET)
    assert found == {"images": 8, "identities": 3, "left_out": []}
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
        unpack_records(packed, tmp_path / "other", **QUIET)
    assert not list((tmp_path / "elsewhere").iterdir())
