"""Compressed files, within limits. Packs in them: test_verification_pack.py."""

import bz2
import gzip
import lzma

import pytest

from gluonface.data import compressed
from gluonface.errors import DataError

FORMS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}


@pytest.mark.parametrize("kind", FORMS)
def test_first_bytes_tell_and_streams_are_joined(kind):
    data = FORMS[kind](b"one ") + FORMS[kind](b"two")
    assert compressed.compression(data) == kind
    assert compressed.unpack(data) == b"one two"
    with pytest.raises(DataError, match=f"{kind} file that"):
        compressed.unpack(data[: len(FORMS[kind](b"one ")) - 6])


def test_what_is_not_wanted_is_not_unpacked():
    assert compressed.compression(b"\x80\x04") is None
    with pytest.raises(DataError, match="not compressed"):
        compressed.unpack(b"\x80\x04")
    with pytest.raises(DataError, match="no such file"):
        compressed.unpack(gzip.compress(b"abc"), lambda start: start.startswith(b"x"))


def test_the_limit_is_one_of_size_and_of_ratio(monkeypatch):
    data = gzip.compress(bytes(1 << 20))
    monkeypatch.setattr(compressed, "_SMALL", 1 << 19)
    with pytest.raises(DataError, match="unpack to more than"):
        compressed.unpack(data)
    monkeypatch.setattr(compressed, "_MAX_RATIO", 1100)
    assert len(compressed.unpack(data)) == 1 << 20
