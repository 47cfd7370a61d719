"""Damaged files of every form of faces; in the slow tier 500 of bytes and 500 of structure each."""

import mutations
import pytest
from source_readers import READERS

for package in ("pyarrow", "lmdb", "msgpack"):
    pytest.importorskip(package)


@pytest.mark.parametrize("reader", ["zip", "lmdb", "list"])
def test_some_damaged_sources(reader, tmp_path):
    outcome = mutations.read_some(READERS[reader], reader, 20, tmp_path)
    assert outcome.refused  # the damage does damage


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_damaged_sources(reader, tmp_path):
    outcome = mutations.run("source_readers", reader, 500, tmp_path)
    assert outcome.problems == []
    assert outcome.refused + outcome.read == 1000
