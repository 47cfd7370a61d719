"""Damaged files of every form of faces; in the slow tier 500 of bytes and 500 of structure each."""

import mutations
import pytest
from source_readers import READERS

for package in ("pyarrow", "lmdb", "msgpack"):
    pytest.importorskip(package)

FEW = [("zip", 20), ("lmdb", 20), ("list", 20)]  # each starts a process
ALL = [pytest.param(name, 500, marks=pytest.mark.slow) for name in READERS]


@pytest.mark.parametrize(("reader", "count"), [*FEW, *ALL])
def test_damaged_sources(reader, count, tmp_path):
    outcome = mutations.run("source_readers", reader, count, tmp_path)
    assert outcome.problems == []
    assert outcome.refused + outcome.read == 2 * count
