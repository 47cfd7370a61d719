"""Calibrations: made, stored, read, refused."""

import copy
import json
import math

import numpy as np
import pytest
from recognition_cases import comparison, model, people_scores

from gluonface.errors import DataError, InputError
from gluonface.recognition import Calibration
from gluonface.recognition.calibration_report import summary_rows
from gluonface.recognition.comparison import measured_on, odds_text


@pytest.fixture(scope="module")
def calibration():
    return Calibration.fit(
        *people_scores(),
        model=model(),
        comparison=comparison(),
        set={"name": "made"},
        norm=np.arange(10.0, 30.0),
        draws=100,
    )


def test_points_keep_their_rates(calibration):
    score, issame, _ = people_scores()
    assert [point.fmr_target for point in calibration.points] == [0.1, 0.01]
    for point in calibration.points:
        assert point.fmr == (score[~issame] > point.threshold).mean() <= point.fmr_target
        assert point.fnmr == (score[issame] <= point.threshold).mean()
        assert point.fmr_low <= point.fmr <= point.fmr_high
        assert point.fnmr_low <= point.fnmr <= point.fnmr_high
    assert [point.support for point in calibration.points] == ["30", "3"]
    assert calibration.default_point.fmr_target == 0.1
    assert calibration.set == {
        "name": "made", "kind": "scores", "sha256": None, "people": 40, "same": 240,
        "different": 12480, "trials": 780, "failures": 0,
    }  # fmt: skip


def test_decisions(calibration):
    point = calibration.point(0.01)
    at = calibration.decide(point.threshold, 0.01)
    assert not at.same  # strict: equal is not above
    above = calibration.decide(math.nextafter(point.threshold, 1), fmr=0.01)
    assert above.same
    assert above.point is point
    assert above.llr == float(calibration.ratio(above.score))
    sure = calibration.decide(1.0)
    assert sure.capped
    assert sure.llr == calibration.llr_high == math.log(781)
    assert calibration.decide(-1.0).llr == calibration.llr_low == -math.log(41)
    assert sure.probability(0.5) == pytest.approx(781 / 782)
    assert sure.probability(1e-9) == pytest.approx(781e-9, rel=1e-5)
    ratios = calibration.ratio(np.linspace(-1, 1, 50).reshape(5, 10))
    assert ratios.shape == (5, 10)
    assert (np.diff(ratios.ravel()) >= 0).all()


@pytest.mark.parametrize(
    ("fmr", "said"),
    [
        (1e-3, "needs 3,000 pairs of two people; made has 780 (40 people). Ask for 0.0039 or more"),
        (0.02, "has FMR 0.1, 0.01, not 0.02; make one with gluonface calibrate --fmr 0.02"),
        (0, "fraction above 0"),
        (1.5, "fraction above 0"),
        ("many", "expected a number"),
        (math.nan, "finite number"),
        (True, "finite number"),
    ],
)
def test_a_rate_that_it_does_not_have(calibration, fmr, said):
    with pytest.raises(InputError) as caught:
        calibration.decide(0.5, fmr)
    assert said in str(caught.value)


@pytest.mark.parametrize("score", [math.nan, math.inf, "high", None, [0.1, 0.2]])
def test_a_score_that_is_none(calibration, score):
    with pytest.raises(InputError, match="score is"):
        calibration.decide(score)


@pytest.mark.parametrize("prior", [0, 1, -0.1, math.nan, "x"])
def test_a_prior_that_is_none(calibration, prior):
    with pytest.raises(InputError, match="prior is"):
        calibration.decide(0.5).probability(prior)


def test_a_threshold_of_any_supported_rate(calibration):
    score, issame, _ = people_scores()
    for fmr in (0.09, 0.0333, 0.01, 0.0045, 3 / 780):
        threshold, rate = calibration.threshold(fmr)
        assert rate <= fmr * (1 + 1e-9)
        assert rate >= fmr / 1.34
        assert (score[~issame] > threshold).mean() <= fmr
    assert calibration.thresholds[-1][0] == pytest.approx(3 / 780)
    with pytest.raises(InputError, match="needs 1,000 pairs"):
        calibration.threshold(0.003)


def test_the_rates_asked_for():
    score, issame, people = people_scores()
    found = Calibration.fit(score, issame, people, fmr=[0.005, 0.05, 0.05], draws=20)
    assert [point.fmr_target for point in found.points] == [0.05, 0.005]
    one = Calibration.fit(score, issame, people, fmr=0.02, draws=20)
    assert [point.fmr_target for point in one.points] == [0.02]
    with pytest.raises(InputError, match="78 are enough"):
        Calibration.fit(score, issame, people, fmr=1e-3)
    few = people_scores(people=4)
    with pytest.raises(InputError, match=r"FMR 0.1 needs 30 .*has 6 \(4 people\)"):
        Calibration.fit(*few)


def test_without_people_pairs_count():
    score, issame, _ = people_scores()
    found = Calibration.fit(score, issame)
    assert found.set["people"] is None
    assert found.set["trials"] == 12480
    assert {point.interval for point in found.points} == {"exact, pairs"}
    assert found.points[-1].fmr_target == 1e-3


def test_people_by_name_number_or_pair_of_columns():
    score, issame, (a, b) = people_scores()
    expected = Calibration.fit(score, issame, (a, b), draws=20).points
    names = np.array([f"person {number:02d}" for number in range(40)])
    for people in ((names[a], names[b]), np.stack([a, b], axis=1), [a.tolist(), b.tolist()]):
        assert Calibration.fit(score, issame, people, draws=20).points == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": np.array([[0.1]])}, "score has shape"),
        ({"score": np.array(["a"] * 12720)}, "score has shape"),
        ({"score": np.full(12720, np.nan)}, "score of pair 0 is nan"),
        ({"score": np.full(12720, np.inf)}, "score of pair 0 is inf"),
        ({"issame": np.zeros(12720)}, "0 same and 12720 different"),
        ({"issame": np.full(12720, 2)}, "issame must hold"),
        ({"people": (np.zeros(12720, int), np.zeros(12720, int))}, "but issame says two people"),
        ({"people": (np.zeros(3, int), np.zeros(3, int))}, "people has the shapes"),
        ({"people": (np.zeros(12720), np.zeros(12720))}, "people holds float64"),
        ({"fmr": []}, "fmr is empty"),
        ({"fmr": [0.1, -1]}, "FMR is -1"),
    ],
)
def test_wrong_input(change, said):
    score, issame, people = people_scores()
    given = {"score": score, "issame": issame, "people": people, **change}
    with pytest.raises(InputError, match=said):
        Calibration.fit(**given)


def test_labels_turned_round():
    score, issame, _ = people_scores()
    with pytest.raises(DataError, match="labels turned round"):
        Calibration.fit(score, ~issame)


def test_few_people_hold_nobody_out():
    found = Calibration.fit(*people_scores(people=9), draws=20)
    assert found.held_out_cllr == {"logistic": None, "steps": None}
    assert found.map.to_dict()["map"] == "logistic"


# --- stored -------------------------------------------------------------------------------------


def test_stored_and_read_again(calibration, tmp_path):
    calibration.save(tmp_path / "c.json")
    again = Calibration.load(tmp_path / "c.json")
    assert again.to_dict() == calibration.to_dict()
    assert again.decide(0.5) == calibration.decide(0.5)
    text = (tmp_path / "c.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_steps_are_stored_with_null_for_minus_infinity(tmp_path):
    random = np.random.RandomState(0)
    own = np.where(random.rand(3000) < 0.25, 0.05, 0.6) + 0.09 * random.randn(3000)
    score = np.concatenate([own, 0.1 * random.randn(9000)])
    order = random.permutation(12000)
    issame = (np.arange(12000) < 3000)[order]
    found = Calibration.fit(score[order], issame)
    stored = found.to_dict()["ratio"]
    assert stored["map"] == "steps"
    assert stored["score"][0] is None
    found.save(tmp_path / "c.json")
    again = Calibration.load(tmp_path / "c.json")
    values = np.linspace(-0.5, 1, 99)
    np.testing.assert_array_equal(again.ratio(values), found.ratio(values))


def _set(path, value):
    def change(stored):
        *where, last = path
        for key in where:
            stored = stored[key]
        stored[last] = value

    return change


STEPS = {"map": "steps", "score": [None, 0.1, 0.4], "llr": [-2.0, 0.0, 3.0]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set(["format"], "card"), "is no calibration"),
        (_set(["version"], 2), "version 2"),
        (_set(["points"], []), "points is"),
        (_set(["points", 0, "threshold"], math.nan), r"points\[0\].threshold is nan"),
        (_set(["points", 0, "fmr_high"], 1.5), "fmr_high"),
        (_set(["points", 1, "fmr_target"], 0), "a rate above 0"),
        (_set(["points", 0, "fmr_low"], True), "fmr_low is True"),
        (_set(["points", 0, "false_matches"], -1), "false_matches"),
        (_set(["points", 0, "support"], "300"), "support"),
        (_set(["points", 0, "interval"], None), "interval"),
        (_set(["points", 1, "fmr_target"], 0.2), "smaller rate needs a higher threshold"),
        (_set(["points", 1, "threshold"], -0.9), "smaller rate needs a higher threshold"),
        (_set(["thresholds", 0], [0.1]), "thresholds is"),
        (_set(["ratio"], None), "ratio.map is None"),
        (_set(["ratio"], {"map": "line"}), "ratio.map is 'line'"),
        (_set(["ratio"], {"map": "logistic", "slope": -3.0, "offset": 0}), "labels turned round"),
        (_set(["ratio"], {"map": "logistic", "slope": 0, "offset": 0}), "labels turned round"),
        (_set(["ratio"], {"map": "logistic", "slope": "9", "offset": 0}), "slope is '9'"),
        (_set(["ratio"], {**STEPS, "score": [None, 0.4, 0.1]}), "score does not rise at knot 2"),
        (_set(["ratio"], {**STEPS, "llr": [-2.0, -3.0, 3.0]}), "llr does not rise at knot 1"),
        (_set(["ratio"], {**STEPS, "llr": [0.0]}), "of one length"),
        (_set(["ratio"], {**STEPS, "score": [0.0, 0.1, 0.4]}), "minus infinity"),
        (_set(["ratio"], {**STEPS, "llr": [-2.0, math.inf, 3.0]}), "llr is inf"),
        (_set(["llr_low"], 99.0), "llr_low"),
        (_set(["cllr"], None), "cllr is None"),
        (_set(["set", "trials"], 3.5), "set.trials"),
        (_set(["set", "people"], "many"), "set.people"),
        (_set(["set"], []), "set is"),
        (_set(["model", "sha256"], {"params": "abc"}), "64 hexadecimal"),
        (_set(["comparison", "flip"], 3), "comparison.flip"),
        (_set(["held_out_cllr"], {"steps": math.nan}), "held_out_cllr.steps"),
        (_set(["norm", "0.01"], None), "norm.0.01"),
        (_set(["norm"], {"one": 3.0}), "norm is"),
        (_set(["norm", "0.5"], 1e9), "quantiles that do not fall"),
    ],
)
def test_what_cannot_be_is_refused(calibration, tmp_path, change, said):
    stored = copy.deepcopy(calibration.to_dict())
    change(stored)
    (tmp_path / "c.json").write_text(json.dumps(stored))
    with pytest.raises(DataError, match=said) as caught:
        Calibration.load(tmp_path / "c.json")
    assert "c.json" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"3", b"[" * 100_000])
def test_a_file_that_is_no_calibration(tmp_path, content):
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(DataError, match=r"c\.json"):
        Calibration.load(tmp_path / "c.json")


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="gluonface calibrate makes one"):
        Calibration.load(tmp_path / "none.json")


def _places(value, at=()):
    """Yield where each value of a stored calibration is."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in items:
        yield (*at, key)
        if isinstance(one, (dict, list)):
            yield from _places(one, (*at, key))


@pytest.mark.parametrize("seed", range(3))
def test_damaged_values_are_refused_or_usable(calibration, tmp_path, seed):
    """A value lost, or another in its place: a DataError, or a calibration that answers."""
    random = np.random.RandomState(seed)
    others = [None, True, -1, 0, 1e308, math.nan, math.inf, "x", "", [], {}, [None], 10**400]
    base = calibration.to_dict()
    places = list(_places(base))
    refused = 0
    for _ in range(250):
        stored = copy.deepcopy(base)
        *where, last = places[random.randint(len(places))]
        inside = stored
        for key in where:
            inside = inside[key]
        if random.rand() < 0.2:
            del inside[last]
        else:
            inside[last] = others[random.randint(len(others))]
        (tmp_path / "c.json").write_text(json.dumps(stored))
        try:
            found = Calibration.load(tmp_path / "c.json")
        except DataError:
            refused += 1
            continue
        decision = found.decide(0.5)
        odds_text(decision, found)
        measured_on(found, decision.point)
        assert len(summary_rows(found)) >= 5
        assert np.isfinite(found.ratio([-1, 0, 1])).all()
    assert refused > 150


# --- the reference cases ------------------------------------------------------------------------


def test_reference_cases(shared):
    folder = shared / "reference" / "recognition"
    expected = json.loads((folder / "calibration.json").read_text())
    with np.load(folder / "calibration.npz") as arrays:
        arrays = {name: arrays[name] for name in arrays.files}
    for name, case in expected.items():
        wanted = [point for point in case["points"] if point["support"]]
        score, issame = arrays[f"{name}_score"], arrays[f"{name}_issame"]
        found = Calibration.fit(score, issame, fmr=[point["target"] for point in wanted])
        assert (found.llr_low, found.llr_high) == pytest.approx((case["low"], case["high"]))
        for point, one in zip(found.points, wanted):
            for key in ("threshold", "fmr", "fmr_low", "fmr_high", "fnmr", "fnmr_low", "fnmr_high"):
                assert getattr(point, key) == pytest.approx(one[key], rel=1e-12), (name, key)
            assert (point.false_matches, point.support) == (one["false_matches"], one["support"])
        for point in case["points"]:
            if point["support"] is None:
                with pytest.raises(InputError, match=r"needs .* pairs of different people"):
                    Calibration.fit(score, issame, fmr=point["target"])


def test_reference_case_of_the_choice(shared):
    folder = shared / "reference" / "recognition"
    case = json.loads((folder / "use.json").read_text())["map"]
    with np.load(folder / "use.npz") as arrays:
        found = Calibration.fit(arrays["map_score"], arrays["map_issame"])
    assert found.map.to_dict()["map"] == case["chosen"]
    assert found.held_out_cllr == pytest.approx(case["held_out_cllr"], rel=1e-9)
    assert found.cllr == pytest.approx(case["cllr_steps"], rel=1e-9)
    assert found.min_cllr == pytest.approx(case["min_cllr"], rel=1e-9)
    assert (found.llr_low, found.llr_high) == pytest.approx((case["low"], case["high"]), rel=1e-12)
