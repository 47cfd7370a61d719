"""Damaged files of every form of faces; in the slow tier 500 of bytes and 500 of structure each."""

import mutations
import pytest
from source_readers import READERS

for name in ("pyarrow", "lmdb", "msgpack"):
    pytest.importorskip(name)


@pytest.mark.parametrize("count", [5, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("reader", READERS)
def test_damaged_sources(reader, count, tmp_path):
    outcome = mutations.run("source_readers", reader, count, tmp_path)
    assert outcome.problems == []
    assert outcome.refused + outcome.read == 2 * count
