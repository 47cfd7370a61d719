"""Damaged pair lists, packs and sets: an error that names the file, and nothing else."""

import mutations
import pytest

pytest.importorskip("pyarrow", reason="needs the extra gluonface[formats]")

import pair_readers


@pytest.mark.parametrize("name", ["pair table", "own pack", "survface", "arrow pairs"])
def test_some_damaged_files(tmp_path, name):
    outcome = mutations.read_some(pair_readers.READERS[name], name, 10, tmp_path)
    assert outcome.refused  # the damage does damage


@pytest.mark.slow
@pytest.mark.parametrize("name", pair_readers.READERS)
def test_damaged_files(tmp_path, name):
    outcome = mutations.run("pair_readers", name, 500, tmp_path)
    assert outcome.problems == []
    assert outcome.refused > 100  # the damage does damage
