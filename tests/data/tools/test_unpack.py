"""Sets as files."""

from packed_faces import QUIET, SIZE, content

from gluonface.data.tools.unpack import unpack_records
from gluonface.data.tools.write_records import pack


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
