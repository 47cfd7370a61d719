import numpy as np

from gluonface.evaluation import evaluate
from gluonface.evaluation.results.group_tables import group_rows, group_text, ratio_texts


def result(n=3000, ratio=True):
    rng = np.random.default_rng(0)
    issame = np.arange(n) % 2 == 0
    a = rng.normal(size=(n, 8))
    b = np.where(issame[:, None], a + 0.8 * rng.normal(size=a.shape), rng.normal(size=a.shape))
    groups = np.where(np.arange(n) < n - 20, rng.choice(["x", "y"], n), "x | y")
    if not ratio:
        groups[:] = "x"
    return evaluate(a, b, issame, groups=groups.tolist(), fmrs=[0.01])


def test_text_and_rows():
    found = result()
    rows = group_rows(found.groups, found.groups.tables[0])
    assert [row[0] for row in rows] == ["group", "x", "y", "x | y"]
    assert len({len(row) for row in rows}) == 1
    assert rows[3][5] == "-"  # ten different pairs do not support 0.01
    text = group_text(found)
    assert "groups at one threshold" in text
    assert "largest ratio of FNMR between groups:" in text
    assert "accuracy over 2 groups, at the thresholds of the folds" in text
    assert "worst: " in text
    for line in ratio_texts(result(ratio=False).groups.tables[0]):
        assert line.endswith("- (fewer than two have it)")
    assert found.to_dict()["groups"]["tables"][0]["rates"][0]["group"] == "x"
