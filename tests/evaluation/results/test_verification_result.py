import dataclasses

import numpy as np
import pytest

from gluonface.data.pair_folds import stretches
from gluonface.evaluation import evaluate
from gluonface.evaluation.results.verification_result import table


@pytest.fixture
def case(noisy_pairs):
    e, _, issame = noisy_pairs(123, seed=5)
    return e[0::2], e[1::2], issame


def test_results_of_different_packs_share_one_table(noisy_pairs):
    results = []
    for n in (40, 600):
        e, _, issame = noisy_pairs(n, seed=0)
        result = evaluate(e[0::2], e[1::2], issame)
        results.append(dataclasses.replace(result, name=f"pack{n}", flip="none"))
    lines = table(results).splitlines()
    place = lines[0].index("TAR@0.01")
    assert lines[1][place : place + 8].strip() == "-"  # 20 different pairs do not support 0.01
    assert lines[2][place : place + 8].strip() == f"{results[1].tar[0.01]:.4f}"


def test_calls_are_those_of_the_accuracy(case):
    result = evaluate(*case)
    calls = result.calls()
    fold = stretches(len(calls), 10)
    wrong = np.array([call.error for call in calls])
    right = [np.mean(~wrong[fold == k]) for k in range(10)]
    assert right == pytest.approx(list(result.fold_accuracies), abs=1e-15)
    for call in calls:
        assert call.accepted == (call.score > call.threshold)
        assert call.same == result.issame[call.index]


def test_a_pair_on_its_threshold_is_rejected_as_in_the_accuracy():
    issame = np.arange(20) % 2 == 0
    a = np.tile([1.0, 0.0], (20, 1))
    b = np.where(issame[:, None], [0.002, 1.0], [0.0, 1.0])  # squared distances 1.996 and 2
    result = evaluate(a, b, issame)
    assert set(result.thresholds) == {2.0}
    assert result.accuracy == 1
    assert not any(call.error for call in result.calls())


def test_the_hardest_errors_are_furthest_beyond_their_threshold(case):
    result = evaluate(*case)
    hardest = result.hardest(10)
    assert [call.error for call in hardest] == [True] * 10
    beyond = [abs(call.score - call.threshold) for call in hardest]
    assert beyond == sorted(beyond, reverse=True)
    chosen = {call.index for call in hardest}
    others = [c for c in result.calls() if c.error and c.index not in chosen]
    assert others
    assert max(abs(call.score - call.threshold) for call in others) <= beyond[-1]
    assert {call.kind for call in hardest} <= {"false accept", "false reject"}


def test_without_errors_the_closest_calls_are_shown(noisy_pairs):
    e, _, issame = noisy_pairs(200, seed=0, noise=0.05)
    result = evaluate(e[0::2], e[1::2], issame)
    assert result.accuracy == 1
    closest = result.hardest(10)
    assert len(closest) == 10
    assert not any(call.error for call in closest)
    near = sorted(abs(call.score - call.threshold) for call in result.calls())[:10]
    assert [abs(call.score - call.threshold) for call in closest] == near


def test_thresholds_are_cosines_and_the_squared_distance_keeps_its_name(case):
    result = evaluate(*case)
    head, row = table([result]).splitlines()
    assert head.endswith("threshold (cosine)  as squared distance")
    assert row.split()[-2:] == [f"{result.cosine_threshold:.3f}", f"{result.threshold:.3f}"]
    stored = result.to_dict()
    np.testing.assert_allclose(stored["cosine_thresholds"], 1 - np.array(result.thresholds) / 2)
    assert stored["cosine_threshold"] == pytest.approx(np.mean(stored["cosine_thresholds"]))
    assert stored["thresholds"] == list(result.thresholds)  # squared distances, as documented
    assert "squared distances" in result.CONVENTION["threshold"]
