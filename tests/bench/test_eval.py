import json

import pytest

from gluonface.bench import eval as bench
from gluonface.cli import main
from gluonface.errors import InputError


@pytest.fixture(scope="module")
def rows():
    return {row.part: row for row in bench.measure(repeats=1, scale=0.004)}


def test_every_part_agrees_with_the_public_form(rows):
    """What it measures, not how fast: times are not for tests."""
    assert tuple(rows) == bench.PARTS
    accuracy, val = rows["folds"].check.split(", ")
    assert accuracy.split()[1] == accuracy.split()[3]
    assert val.split()[1] == val.split()[3]
    assert float(rows["pooling"].check.split()[-1]) < 1e-6
    assert "at most 0 of" in rows["ijb"].check or "at most 1 of" in rows["ijb"].check
    assert rows["ifrt"].check.startswith("100.00% of 8.00e+06 pairs")
    assert "; bare products " in rows["ifrt"].check
    for row in rows.values():
        assert row.seconds > 0
        assert row.reference > 0


def test_command(rows, tmp_path, capsys, monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    seen = []

    def measure(*args):
        seen.append(args)
        return list(rows.values())

    monkeypatch.setattr(bench, "measure", measure)
    file = tmp_path / "r.json"
    assert main(["bench", "eval", "--no-reference", "--repeats", "2", "--json", str(file)]) == 0
    assert seen == [(bench.PARTS, False, 2, 0, 1.0)]
    out = capsys.readouterr().out
    assert "evaluation at full size, 1 thread," in out
    assert "10 folds, 20 pairs" in out
    assert len(json.loads(file.read_text())["rows"]) == len(bench.PARTS)


def test_wrong_use():
    with pytest.raises(InputError, match="the scale is 2"):
        bench.measure(scale=2)
    with pytest.raises(InputError, match="repeats is 0"):
        bench.measure(repeats=0)


def test_what_there_is_no_time_for_is_extrapolated(monkeypatch):
    """A million faces take hours: after the time is over the share that was done is said."""
    from gluonface.evaluation.scores import all_pairs

    monkeypatch.setattr(bench, "SECONDS", 0.0)
    monkeypatch.setattr(all_pairs, "BLOCK", 256)
    (row,) = bench.measure(["ifrt"], reference=False, repeats=1, scale=0.002)
    share, said = float(row.check.split("%")[0]), row.check
    assert 0 < share < 5  # one block of four groups of two
    assert "1.999e+06" in said or "2.00e+06 pairs" in said
    assert row.reference is None
