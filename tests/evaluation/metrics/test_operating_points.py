import numpy as np

from gluonface.evaluation.metrics import operating_points


def test_the_window_around_a_target_grows_until_it_decides(monkeypatch):
    rng = np.random.default_rng(1)
    genuine = np.concatenate([rng.normal(1, 1, 30), [5, 5, -3]])
    impostor = np.sort(np.round(rng.normal(size=400), 2))[::-1]
    targets = (0.0, 0.01, 0.3, 0.77, 1.0)
    known = operating_points.operating_points(genuine, impostor, 400, targets, "reference")
    for window in (1, 2, 30):
        monkeypatch.setattr(operating_points, "_WINDOW", window)
        found = operating_points.operating_points(genuine, impostor, 400, targets, "reference")
        assert found == known
