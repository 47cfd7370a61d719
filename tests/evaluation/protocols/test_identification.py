import numpy as np
import pytest
from evaluation_cases import search_with_unknown
from reference import identification as twin

from gluonface.errors import InputError
from gluonface.evaluation.protocols import identification
from gluonface.evaluation.scores import search


def made(seed, probes=25, gallery=40, people=9, ties=False):
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(people, 6))
    probe_ids, gallery_ids = rng.integers(0, people, probes), rng.integers(2, people + 4, gallery)
    p = centre[probe_ids] + 0.8 * rng.normal(size=(probes, 6))
    extra = np.concatenate([centre, rng.normal(size=(4, 6))])
    g = extra[gallery_ids] + 0.8 * rng.normal(size=(gallery, 6))
    if ties:
        p, g = np.eye(6)[np.abs(p).argmax(axis=1)], np.eye(6)[np.abs(g).argmax(axis=1)]
    return p, g, probe_ids, gallery_ids


@pytest.mark.parametrize(("seed", "ties"), [(0, False), (1, False), (2, True)])
@pytest.mark.parametrize("many", [False, True])
def test_ranks_and_precision_equal_the_loops(seed, ties, many, monkeypatch):
    monkeypatch.setattr(search, "_TILE", 1)  # blocks of 16 probes
    if many:
        monkeypatch.setattr(search, "_MATES", 1)
    p, g, probe_ids, gallery_ids = made(seed, ties=ties)
    result = identification.evaluate(
        p, g, probe_ids, gallery_ids, ranks=(1, 2, 3, 7), dtype=np.float64
    )
    rates, precision = twin.search(p, probe_ids, g, gallery_ids, (1, 2, 3, 7))
    assert result.rate_by_rank() == rates
    assert result.measures["map"] == pytest.approx(precision, abs=1e-12)
    assert result.counts["nonmated"] == (~np.isin(probe_ids, gallery_ids)).sum() > 0


def test_the_right_mate_beside_the_wrong_hit_is_the_best_one():
    """Of several entries of an identity the one that scores highest is shown."""
    p, g, probe_ids, gallery_ids = made(7)
    result = identification.evaluate(p, g, probe_ids, gallery_ids, dtype=np.float64)
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (p, g)]
    assert len(result.worst_errors) > 3
    for error in result.worst_errors:
        score = units[1] @ units[0][error.a]
        mates = gallery_ids == probe_ids[error.a]
        assert error.mate == np.flatnonzero(mates)[np.argmax(score[mates])]
        assert error.mate_score == pytest.approx(score[mates].max(), abs=1e-12)
        assert error.b == np.flatnonzero(~mates)[np.argmax(score[~mates])]
        assert error.score == pytest.approx(score[~mates].max(), abs=1e-12)
    assert any((gallery_ids == probe_ids[h.a]).sum() > 1 for h in result.worst_errors)


def test_order_names_and_scale_change_nothing():
    p, g, probe_ids, gallery_ids = made(3)
    known = identification.evaluate(p, g, probe_ids, gallery_ids, dtype=np.float64)
    one, other = (np.random.default_rng(0).permutation(len(x)) for x in (p, g))
    for found in (
        identification.evaluate(
            p[one], g[other], probe_ids[one], gallery_ids[other], dtype=np.float64
        ),
        identification.evaluate(
            3 * p, g / 5, [f"n{i}" for i in probe_ids], [f"n{i}" for i in gallery_ids], dtype=float
        ),
    ):
        assert found.rate_by_rank() == known.rate_by_rank()
        assert found.tpir_by_fpir() == known.tpir_by_fpir()
        assert found.measures["map"] == pytest.approx(known.measures["map"], abs=1e-12)


def test_ties_and_collapse_count_against_the_mate():
    same = np.ones((6, 3))
    ids = np.array([0, 1, 2, 0, 1, 2])
    result = identification.evaluate(same, same * 2, ids, ids)
    assert set(result.rate_by_rank().values()) == {0.0}
    assert result.measures["map"] == 0
    two = np.array([[1.0, 0], [1, 0], [0, 1]])  # the mate ties with another
    found = identification.evaluate(two[:1], two, [7], [7, 8, 9], ranks=(1, 2))
    assert found.rate_by_rank() == {1: 0.0, 2: 1.0}
    assert found.worst_errors[0].b == 1


def test_a_zero_probe_finds_nobody():
    p, g, probe_ids, gallery_ids = made(4)
    probe_ids[0], p[0] = gallery_ids[0], 0
    result = identification.evaluate(p, g, probe_ids, gallery_ids, ranks=(1, 1000))
    assert result.rate_by_rank()[1000] == result.cmc[-1] == 1 - 1 / result.counts["mated"]
    assert any("1 probes and 0 gallery" in note for note in result.notes)


def test_intervals():
    p, g, probe_ids, gallery_ids = made(5, probes=200, gallery=200, people=30)
    result = identification.evaluate(p, g, probe_ids, gallery_ids, draws=60, fpirs=(0.1,))
    for figure, rate in ((result.ranks[0], "rate"), (result.searches[0], "tpir")):
        assert figure.low < figure.high
        assert figure.low - 0.05 <= getattr(figure, rate) <= figure.high + 0.05


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"probe_ids": [99] * 25}, "no probe has its identity"),
        ({"probe_ids": [1, 2]}, "25 features for 2 entries"),
        ({"gallery": np.ones((40, 5))}, "6 values each and gallery entries 5"),
        ({"ranks": (0,)}, "rank 0"),
        ({"fpirs": (1.5,)}, "identification rate is 1.5; expected a fraction in 0..1"),
        ({"unique": True}, "twice, at entries"),
        ({"draws": 1}, "bootstrap is 1"),
        ({"draws": -5}, "bootstrap is -5"),
        ({"probes": np.full((25, 6), np.nan)}, "probes row 0 is not finite"),
    ],
)
def test_wrong_use_is_refused(change, said):
    p, g, probe_ids, gallery_ids = made(0)
    given = {"probes": p, "gallery": g, "probe_ids": probe_ids, "gallery_ids": gallery_ids}
    with pytest.raises(InputError, match=said):
        identification.evaluate(**{**given, **change})


def test_the_curves_of_a_search_are_its_rates():
    result = search_with_unknown()
    assert result.cmc[0] == result.rate_by_rank()[1]
    assert result.cmc[4] == result.rate_by_rank()[5]
    assert result.cmc[-1] == 1
    # at a FPIR of 0.2 of 5 searches: one false positive, the last corner before a second
    strict = result.searches[0]
    at = result.roc_curve.tpr[result.roc_curve.false_accepts <= strict.false_accepts].max()
    assert at == pytest.approx(strict.tpir)
    assert result.roc_curve.tpr[-1] == pytest.approx(result.rate_by_rank()[1]), (
        "more is found at no threshold"
    )
    assert search_with_unknown(unknown=0).roc_curve is None
