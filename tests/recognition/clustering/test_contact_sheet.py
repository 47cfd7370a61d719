import numpy as np
import pytest

from gluonface.errors import DataError
from gluonface.recognition.clustering import contact_sheet
from gluonface.recognition.clustering.clusters import Clustering
from gluonface.recognition.clustering.contact_sheet import SheetFace, write_contact_sheet


def crop():
    return np.zeros((112, 112, 3), np.uint8)


def gone():
    raise DataError("it has gone")


def test_large_clusters_show_their_most_doubtful_face(tmp_path, monkeypatch):
    monkeypatch.setattr(contact_sheet, "FACES", 3)
    monkeypatch.setattr(contact_sheet, "SHEETS", 2)
    monkeypatch.setattr(contact_sheet, "SINGLE", 1)
    label = np.array([1] * 5 + [2, 2, 3, 3, 0, 0])
    score = np.where(label > 0, np.linspace(0.9, 0.4, 11), np.nan)
    faces = [SheetFace(f"face{n}", "weak" if n > 8 else "", crop) for n in range(11)]
    page = write_contact_sheet(tmp_path, Clustering(label, score, 0.5), faces, {}, {2: "Ann"})
    text = page.read_text()
    assert "3 clusters of 9 faces" in text
    assert "5 faces, 3 of them shown" in text
    assert all(f'alt="face{n}"' in text for n in (0, 1, 4))
    assert 'alt="face2"' not in text
    assert "0.700 most doubtful" in text
    assert "1 smaller clusters are in clusters.csv" in text
    assert "2: Ann" in text
    assert "2 faces, 1 of them shown" in text
    assert "<small>weak</small>" in text


@pytest.mark.parametrize("read", [None, gone])
def test_faces_without_a_picture_have_their_name(tmp_path, read):
    faces = [SheetFace("a <i>\udcff", "", read)] * 2
    found = Clustering(np.array([1, 1]), np.array([0.9, 0.8]), 0.5)
    text = write_contact_sheet(tmp_path, found, faces, {}).read_text()
    assert text.count(r"<span>a &lt;i&gt;\udcff</span>") == 2


def test_nothing_is_grouped(tmp_path):
    found = Clustering(np.zeros(2, int), np.full(2, np.nan), 0.5)
    text = write_contact_sheet(tmp_path, found, [SheetFace("a", "", crop)] * 2, {}).read_text()
    assert "0 clusters of 0 faces" in text
    assert "Not grouped" in text
