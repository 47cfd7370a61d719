import numpy as np
import pytest
from reference.ijb import dot, unit

from gluonface.errors import DataError, InputError
from gluonface.evaluation.metrics import error_rates
from gluonface.evaluation.protocols import nist
from gluonface.evaluation.results.evaluation_result import document


def made(seed=0, images=60, people=12, size=8):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, people, images)
    features = rng.normal(size=(people, size))[person] + 0.8 * rng.normal(size=(images, size))
    return features, person, np.array(["x", "y"])[person % 2]


def loops(features, person, chosen):
    """Return the scores of mated and of non-mated pairs; minus infinity where one failed."""
    mated, nonmated = [], []
    rows = [unit([float(x) for x in row]) for row in features]
    for place, i in enumerate(chosen):
        for j in chosen[:place]:
            failed = not (any(rows[i]) and any(rows[j]))
            score = -np.inf if failed else dot(rows[i], rows[j])
            (mated if person[i] == person[j] else nonmated).append(score)
    return np.array(mated), np.array(nonmated)


@pytest.mark.parametrize("reference", [None, "y"])
def test_all_pairs_by_group_equal_the_loops(reference):
    """The functions on scores are checked elsewhere against definitions; a failure is a miss."""
    features, person, group = made()
    features[5] = 0
    targets = (0.01, 0.1)
    result = nist.compare(
        features, person, group, fmrs=targets, reference=reference, dtype=np.float64
    )
    everybody = np.arange(len(person))
    sides = {None: everybody, **{g: np.flatnonzero(group == g) for g in "xy"}}
    scores = {name: loops(features, person, rows) for name, rows in sides.items()}
    limits = error_rates.fnmr_at_fmr(*scores[reference], targets)
    assert [(e.target, e.group) for e in result.error_rates] == [
        (t, name) for t in targets for name in sides
    ]
    for error in result.error_rates:
        mated, nonmated = scores[error.group]
        limit = limits[targets.index(error.target)].threshold
        assert error.threshold == pytest.approx(limit, abs=1e-12)
        assert error.false_matches == (nonmated >= limit).sum()
        assert error.false_nonmatches == (mated < limit).sum()
        assert (error.mated, error.nonmated) == (len(mated), len(nonmated))
        assert error.fnmr == error.false_nonmatches / len(mated)
        assert error.fmr == error.false_matches / len(nonmated)
    for part in result.subsets:
        for error, own in zip(
            part.error_rates, error_rates.fnmr_at_fmr(*scores[part.name], targets)
        ):
            assert (error.fnmr, error.fmr) == (own.fnmr, own.fmr)
            assert error.threshold == pytest.approx(own.threshold, abs=1e-12)


def test_errors_are_one_minus_the_strict_rates():
    features, person, _ = made(1)
    result = nist.compare(features, person, fmrs=(0.01, 0.1), draws=30)
    strict = [p for p in result.operating_points if p.convention == "strict"]
    for error, point in zip(result.error_rates, strict):
        assert error.fnmr == pytest.approx(1 - point.tar, abs=1e-12)
        assert error.threshold == np.nextafter(np.float32(point.threshold), np.float32(2))
        assert (error.low, error.high) == (1 - point.high, 1 - point.low)
        assert error.low <= error.fnmr <= error.high


def test_groups_have_intervals_at_the_one_threshold():
    features, person, group = made(2, images=200, people=40)
    result = nist.compare(features, person, group, fmrs=(0.01,), draws=40)
    for error in result.error_rates:
        assert error.low < error.high
        assert error.low - 0.05 <= error.fnmr <= error.high + 0.05
    assert result.table().count("95 % interval") == 3


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("reference", [None, "b"])
def test_scores_by_group_equal_the_functions_on_scores(levels, reference):
    rng = np.random.default_rng(0)
    same, group = rng.random(800) < 0.2, rng.choice(["a", "b"], 800)
    score = 100 * (rng.normal(size=800) + 2.5 * same + 0.3 * (group == "b"))
    score = np.round(score / 100 * levels) if levels else score
    score[:3] = -np.inf
    result = nist.from_scores(score, same, group, fmrs=(0.01, 0.2), reference=reference)
    mated, nonmated = (
        {g: score[(group == g) & (same == kind)] for g in "ab"} for kind in (True, False)
    )
    known = error_rates.by_group(mated, nonmated, (0.01, 0.2), reference)
    found = [e for e in result.error_rates if e.group]
    assert [e.to_dict() for e in found] == [e.to_dict() for e in known]
    assert any("3 comparisons failed" in note for note in result.notes)
    histogram = result.histogram  # not of cosines: the range is that of the scores
    assert histogram.same.sum() + histogram.different.sum() == 797
    assert histogram.edges[0] == score[3:].min()
    assert histogram.edges[-1] == score.max()


def test_search_counts_failures_as_nist_does():
    rng = np.random.default_rng(3)
    gallery = rng.normal(size=(20, 6))
    ids = np.concatenate([np.repeat(np.arange(20), 2), np.arange(50, 80)])
    centres = np.concatenate([np.repeat(gallery, 2, axis=0), rng.normal(size=(30, 6))])
    probes = centres + 0.5 * rng.normal(size=centres.shape)
    probes[4] = 0  # a mated search that fails is a miss,
    probes[-1] = 0  # a non-mated one rightly finds nobody
    result = nist.search(
        probes, gallery, ids, np.arange(20), fpirs=(0.1, 0.5), depth=3, dtype=np.float64
    )
    score = np.array([[dot(unit(p), unit(g)) for g in gallery.tolist()] for p in probes.tolist()])
    score[[4, -1]] = -np.inf
    mate = score[np.arange(40), ids[:40]]
    rank = 1 + (score[:40] > mate[:, None]).sum(axis=1)
    known = error_rates.fnir_at_fpir(mate, rank, score[40:].max(axis=1), (0.1, 0.5), depth=3)
    for error, one in zip(result.error_rates, known):
        assert error.threshold == pytest.approx(one.threshold, abs=1e-12)
        assert (error.fnmr, error.fmr, error.depth) == (one.fnmr, one.fmr, 3)
    fields = document([result])["results"][0]["error_rates"][0]
    assert fields["fnir"] == known[0].fnmr
    assert {"fpir", "false_positives", "false_negatives", "nonmated", "depth"} <= set(fields)
    assert "fnmr" not in fields
    with pytest.raises(InputError, match="FPIR needs searches for people who are not enrolled"):
        nist.search(probes[:40], gallery, ids[:40], np.arange(20))


def test_a_collapsed_model_errs_always():
    _, person, group = made()
    same = np.ones((len(person), 4))
    result = nist.compare(same, person, group, fmrs=(0.01,))
    assert {e.fnmr for e in result.error_rates} == {1.0}
    assert any("COLLAPSED" in note for note in result.notes)
    ids = np.arange(6)
    found = nist.search(same[:6], same[:3], ids, ids[:3], fpirs=(0.1,))
    assert found.error_rates[0].fnmr == 1.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"same": [True] * 4}, "4 mated and 0 non-mated"),
        ({"same": [True]}, "one number and one label"),
        ({"score": [1.0, 2.0, np.nan, 3.0]}, "NaN or infinite"),
        ({"score": [1.0, 2.0, np.inf, 3.0]}, "NaN or infinite"),
        ({"reference": "z"}, "the scores have no groups"),
        ({"group": ["a", "b", "a", "b"], "reference": "z"}, "group 'z' is unknown; there are a, b"),
        ({"group": ["a"]}, "1 groups for 4 scores"),
        ({"fmrs": (2,)}, "false-accept rate is 2"),
    ],
)
def test_wrong_scores_are_refused(change, said):
    given = {"score": [1.0, 2.0, 3.0, 4.0], "same": [True, False, True, False]}
    with pytest.raises(InputError, match=said):
        nist.from_scores(**{**given, **change})


def test_an_unknown_reference_group_is_refused():
    features, person, group = made()
    with pytest.raises(InputError, match="group 'z' is unknown; there are x, y"):
        nist.compare(features, person, group, reference="z")


def test_lists_of_scores(tmp_path):
    file = tmp_path / "scores.txt"
    file.write_text("# made\n0.5 1\n\n-1e-3 0\nfail 1\n")
    score, same, group = nist.read_scores(file)
    assert score.tolist() == [0.5, -0.001, -np.inf]
    assert same.tolist() == [True, False, True]
    assert group is None
    file.write_text("0.5,1,a b\n0.2,0,c\n")
    assert nist.read_scores(file)[2].tolist() == ["a b", "c"]
    for text, said in (
        ("0.5 1\n0.5 2\n", "line 2: '0.5 2'; expected score, 1"),
        ("0.5 1\n0.5 1 g\n", "line 2"),
        ("x 1\n", "line 1"),
        ("inf 1\n", "line 1: 'inf 1'"),
        ("0.5\n", "line 1"),
        ("0.5,1,\n", "line 1"),
        ("# none\n", "lists nothing"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=said):
            nist.read_scores(file)
