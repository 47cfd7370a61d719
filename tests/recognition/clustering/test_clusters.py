import numpy as np
import pytest
from recognition_cases import comparison, model, people_scores
from reference.clusters import whispers as slow

from gluonface.errors import InputError
from gluonface.evaluation.metrics.clusters import cluster_measures
from gluonface.recognition import Calibration, cluster_faces
from gluonface.recognition.clustering import clusters as module
from gluonface.recognition.clustering.clusters import (
    cluster_threshold,
    link_weights,
    near_graph,
    whispers,
)


def made(people, images, size=24, noise=0.8, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((people, size)).repeat(images, axis=0)
    faces = (centers + noise * rng.standard_normal(centers.shape)).astype(np.float32)
    return faces, np.repeat(np.arange(people), images)


def units(faces):
    return (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.2, 0.4, 0.7])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_twin(threshold, seed):
    faces, _ = made(12, 8, seed=seed)
    unit = units(faces)
    for k in (3, 64):
        found = whispers(near_graph(unit, threshold, k), seed)
        assert found.tolist() == slow(unit, threshold, seed, k)


def test_the_graph():
    faces, _ = made(10, 5)
    unit = units(faces)
    graph = near_graph(unit, 0.3)
    scores = unit.astype(np.float64) @ unit.T.astype(np.float64)
    np.fill_diagonal(scores, -1)
    rows, columns = np.nonzero(scores > 0.3)
    assert graph.neighbours.tolist() == columns.tolist()
    np.testing.assert_array_equal(np.diff(graph.starts), np.bincount(rows, minlength=50))
    np.testing.assert_allclose(graph.cosines, scores[rows, columns], rtol=1e-6)
    links = (scores > 0.3).astype(float)
    common = (links @ links)[rows, columns]
    right = graph.cosines * (1 + common) * np.log1p(links.sum(axis=1)[columns])
    np.testing.assert_allclose(link_weights(graph), right, rtol=1e-12)


def test_many_equal_faces_have_k_neighbours_each():
    unit = units(np.ones((100, 8)))
    graph = near_graph(unit, 0.5, k=4)
    assert np.diff(graph.starts).min() == 4
    assert cluster_faces(np.ones((100, 8)), 0.5).sizes.tolist() == [100]


@pytest.mark.parametrize("rows", [256, 700, 8192])
def test_block_sizes_change_nothing(monkeypatch, rows):
    faces, _ = made(60, 12)
    whole = cluster_faces(faces, 0.35)
    monkeypatch.setattr(module, "QUERIES", 100)
    monkeypatch.setattr(module, "FACES", 33)
    found = cluster_faces(faces, 0.35, rows=rows)
    np.testing.assert_array_equal(found.label, whole.label)
    np.testing.assert_array_equal(found.score, whole.score)


def test_people_come_out():
    faces, person = made(80, 10, 64, 0.7)
    found = cluster_faces(faces, 0.45)
    measures = cluster_measures(person, found.label)
    assert measures.bcubed_f > 0.99
    assert sorted(found.sizes, reverse=True) == found.sizes.tolist()


def test_labels_scores_and_what_is_not_grouped():
    faces, _ = made(5, 4, noise=0.1)
    lone = made(1, 1, seed=9)[0]
    faces = np.concatenate([lone, faces[:3], faces[4:8], faces[8:10], np.zeros((1, 24))])
    found = cluster_faces(faces, 0.5)
    assert found.label.tolist() == [0, 2, 2, 2, 1, 1, 1, 1, 3, 3, 0]
    assert np.isnan(found.score[[0, 10]]).all()
    unit, total = units(faces[4:8]), faces[4:8].astype(np.float64).sum(axis=0)
    np.testing.assert_allclose(found.score[4:8], unit @ total / np.linalg.norm(total), rtol=1e-6)
    assert cluster_faces(faces, 0.5, smallest=4).label.tolist() == [0] * 4 + [1] * 4 + [0] * 3
    assert cluster_faces(faces, 0.5, smallest=1).label.max() == 4
    aside = np.arange(11) >= 8
    assert cluster_faces(faces, 0.5, aside=aside).label.tolist()[8:] == [0, 0, 0]
    assert cluster_faces(faces[:1], 0.5).sizes.tolist() == []


def test_work_that_is_kept_is_not_repeated(monkeypatch):
    monkeypatch.setattr(module, "QUERIES", 50)
    faces, _ = made(20, 10)
    kept = {}
    first = cluster_faces(faces, 0.4, kept=kept)
    assert sorted(map(int, kept)) == [0, 50, 100, 150]
    del kept["100"]
    calls = []
    real = module.nearest
    monkeypatch.setattr(module, "nearest", lambda *a: calls.append(1) or real(*a))
    again = cluster_faces(faces, 0.4, kept=kept)
    assert len(calls) == 1
    np.testing.assert_array_equal(first.label, again.label)


def test_bad_input():
    faces, _ = made(3, 3)
    for threshold in (1.0, -1.1, float("nan")):
        with pytest.raises(InputError, match="threshold is"):
            cluster_faces(faces, threshold)
    for smallest in (0, 1.5, True):
        with pytest.raises(InputError, match="smallest is"):
            cluster_faces(faces, 0.5, smallest=smallest)


def test_the_threshold_of_a_calibration():
    score, issame, people = people_scores(60, 3)
    found = Calibration.fit(
        score, issame, people, [0.1], model=model(), comparison=comparison(), draws=2
    )
    limit, rate, enough = cluster_threshold(found, 10)
    assert enough
    assert (limit, rate) == found.threshold(0.01)
    limit, rate, enough = cluster_threshold(found, 100_000)
    assert not enough
    assert rate == found.thresholds[-1][0]


@pytest.fixture(scope="module")
def att(shared):
    """The 380 AT&T faces, embedded by InsightFace's MobileFaceNet."""
    from gluonface.data import RecordDataset, VerificationPack
    from gluonface.deploy import Embedder
    from gluonface.evaluation.protocols.overlap import people_of_pairs

    records = RecordDataset(shared / "data/att")
    pack = VerificationPack.load(shared / "data/att/att_test.bin")
    person = people_of_pairs(pack.bins, pack.issame)
    first = {bytes(data): number for number, data in reversed(list(enumerate(pack.bins)))}
    places = sorted(first.values())
    images = [records[number][0] for number in range(len(records))]
    images += [pack.image(place) for place in places]
    model = Embedder.load(shared / "data/insightface-mobilefacenet/model")
    e, f = model.embed_views(np.stack(images))
    return e + f, np.concatenate([records.labels, 1000 + person[places]])


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.35, 0.4, 0.45, 0.5, 0.55])
def test_real_people(att, threshold):
    outputs, person = att
    found = cluster_faces(outputs, threshold)
    assert (found.label > 0).all()
    measures = cluster_measures(person, found.label)
    assert (measures.clusters, measures.people) == (38, 38)
    assert measures.bcubed_f == 1.0
