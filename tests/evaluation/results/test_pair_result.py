from gluonface.evaluation import evaluate


def test_few_false_accepts_are_pointed_out(noisy_pairs):
    e, _, issame = noisy_pairs(600, seed=0)
    result = evaluate(e[0::2], e[1::2], issame)
    (note,) = [note for note in result.notes if "few false accepts" in note]
    assert "300 different pairs" in note
    assert "0.01 (3)" in note
    assert "0.1 (" not in note
    point = result.operating_points[0]
    assert (point.target, point.allowed, point.different) == (0.1, 30, 300)
