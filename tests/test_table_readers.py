"""Damaged lists, tables, packs, records and pictures: an error that names the file, or a result."""

import mutations
import pytest
import table_readers

from gluonface.errors import GluonfaceError


@pytest.mark.slow
@pytest.mark.parametrize("name", table_readers.READERS)
def test_a_thousand_damaged_files(tmp_path, name):
    outcome = mutations.run("table_readers", name, 500, tmp_path)
    assert outcome.problems == []


@pytest.mark.parametrize("name", table_readers.READERS)
def test_damaged_files(tmp_path, name):
    mutations.read_some(table_readers.READERS[name], name, 5, tmp_path)


STATES = ("journal", "unfinished set", "checked state", "metrics", "synthetic", "cache", "config")
STAND_INS = {
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 9\n"
    % (b"0" * 64),
    "a web page": b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html><body>Log in</body></html>\n",
    "an XML document": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
}


@pytest.mark.parametrize("what", STAND_INS)
@pytest.mark.parametrize("name", [name for name in table_readers.READERS if name not in STATES])
def test_what_a_failed_download_left_is_named(tmp_path, name, what):
    reader = table_readers.READERS[name]
    path = reader.make(tmp_path)
    path.write_bytes(STAND_INS[what])
    with pytest.raises(GluonfaceError) as caught:
        reader.read(path)
    assert f"{what}" in str(caught.value)
    assert path.name in str(caught.value)
