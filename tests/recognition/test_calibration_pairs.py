"""The pairs of folders, packs and stored scores."""

import numpy as np
import pytest
from pack_files import dump
from recognition_cases import Marked, people_images, people_scores, write_people

from gluonface.data import images
from gluonface.deploy import Embedder
from gluonface.errors import DataError, InputError
from gluonface.files import sha256
from gluonface.recognition import Calibration
from gluonface.recognition.calibration_pairs import all_pairs, group_rates, pairs_of_files


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people") / "faces", people_images(12, 2))


def test_all_pairs_of_a_folder(small_prefix, people):
    found = pairs_of_files(small_prefix, images=people)
    assert len(found.score) == 24 * 23 // 2
    faces = people_images(12, 2).reshape(24, 112, 112, 3)
    units = Embedder.load(small_prefix).embed(faces).astype(np.float64)
    i, j = np.triu_indices(24, 1)
    np.testing.assert_allclose(found.score, (units[i] * units[j]).sum(axis=1), atol=1e-6)
    np.testing.assert_array_equal(found.issame, i // 2 == j // 2)
    np.testing.assert_array_equal(found.people[0], i // 2)
    assert found.comparison == {"flip": "sum", "template": "image", "input": "crops"}
    assert found.set["name"] == "faces"
    assert found.model["embedding_size"] == 16
    assert len(found.norm) == 24


def test_failures_are_minus_infinity():
    random = np.random.RandomState(0)
    outputs = random.randn(4, 8)
    outputs[2] = 0
    score, issame, _ = all_pairs(
        outputs, ["b", "b", "a", "a"], np.array([True, False, False, False])
    )
    assert np.isinf(score).tolist() == [True, True, True, True, False, True]
    assert issame.tolist() == [True, False, False, False, False, True]


def test_photographs_go_through_the_detector(small_prefix, tmp_path, monkeypatch):
    from gluonface.recognition import calibration_pairs, faces

    for number, own in enumerate(people_images(2, 2)):
        (tmp_path / f"in/p{number}").mkdir(parents=True)
        for place, face in enumerate(own):
            photo = np.full((200, 200, 3), 128, np.uint8)
            photo[30:142, 40:152] = face
            if (number, place) == (1, 1):
                photo[:] = 0  # nobody
            (tmp_path / f"in/p{number}/{place}.png").write_bytes(images.encode(photo, 101))
    seeing = Marked((40, 30, 112))
    seeing_some = type("Some", (Marked,), {
        "__call__": lambda self, image: seeing(image) if image.any() else []
    })()  # fmt: skip
    for module in (calibration_pairs, faces):
        monkeypatch.setattr(module, "open_detector", lambda *_: seeing_some)
    found = pairs_of_files(small_prefix, images=tmp_path / "in", detector="marked")
    assert np.isinf(found.score).tolist() == [False, False, True, False, True, True]
    assert found.comparison["input"] == "marked 1"
    assert "1 of 4 pictures have no face" in found.notes[-1]
    crops = people_images(2, 2).reshape(4, 112, 112, 3)
    units = Embedder.load(small_prefix).embed(crops).astype(np.float64)
    assert found.score[0] == pytest.approx(units[0] @ units[1], abs=1e-6)


def test_packs_do_not_know_people(small_prefix, tmp_path):
    faces = people_images(4, 2)
    pairs = [(faces[0, 0], faces[0, 1]), (faces[1, 0], faces[2, 0]), (faces[3, 0], faces[3, 1])]
    bins = [images.encode(face, 101) for pair in pairs for face in pair]
    dump(tmp_path / "a.bin", (bins, [True, False, True]))
    found = pairs_of_files(small_prefix, packs=[tmp_path / "a.bin"])
    assert found.people is None
    assert found.issame.tolist() == [True, False, True]
    assert found.set == {"name": "a", "kind": "pack", "sha256": sha256(tmp_path / "a.bin")}
    assert "independent pairs" in found.notes[0]
    twice = pairs_of_files(small_prefix, packs=[tmp_path / "a.bin"] * 2, flip="none", name="two")
    assert len(twice.score) == 6
    assert (twice.set["name"], twice.comparison["flip"]) == ("two", "none")


def test_stored_scores(small_prefix, tmp_path):
    score, issame, (a, b) = people_scores()
    names = np.array([f"n{number:02d}" for number in range(40)])
    np.savez(tmp_path / "s.npz", score=score, issame=issame, person_a=names[a], person_b=names[b])
    found = pairs_of_files(small_prefix, scores=tmp_path / "s.npz", detector="none")
    np.testing.assert_array_equal(found.score, score)
    made = Calibration.fit(found.score, found.issame, found.people, draws=20, set=found.set)
    assert made.set["people"] == 40
    np.savez(tmp_path / "bare.npz", score=score, issame=issame)
    assert pairs_of_files(small_prefix, scores=tmp_path / "bare.npz").people is None
    np.savez(tmp_path / "half.npz", score=score, issame=issame, person_a=a)
    with pytest.raises(DataError, match="one of person_a and person_b"):
        pairs_of_files(small_prefix, scores=tmp_path / "half.npz")
    np.savez(tmp_path / "no.npz", scores=score)
    with pytest.raises(DataError, match="holds scores; expected the arrays score and issame"):
        pairs_of_files(small_prefix, scores=tmp_path / "no.npz")


def test_wrong_use(small_prefix, people, tmp_path):
    with pytest.raises(InputError, match="give one of"):
        pairs_of_files(small_prefix)
    with pytest.raises(InputError, match="give one of"):
        pairs_of_files(small_prefix, images=people, scores="s.npz")
    with pytest.raises(InputError, match="random weights"):
        pairs_of_files("mobilefacenet:untrained", images=people)
    with pytest.raises(InputError, match=r"50,000 images make 1,249,975,000 pairs"):
        all_pairs(np.zeros((50_000, 1)), [])
    (tmp_path / "one/p").mkdir(parents=True)
    with pytest.raises(InputError, match="has no photographs"):
        pairs_of_files(small_prefix, images=tmp_path / "one")


def test_a_network_that_normalises_has_no_lengths(small_prefix, people, monkeypatch):
    plain = Embedder.embed_views

    def unit(self, *args):
        return tuple(x / np.linalg.norm(x, axis=1, keepdims=True) for x in plain(self, *args))

    monkeypatch.setattr(Embedder, "embed_views", unit)
    found = pairs_of_files(small_prefix, images=people)
    assert found.norm is None
    assert "the gate is off" in found.notes[0]


def test_rates_by_group(tmp_path):
    score, issame, people = people_scores()
    from gluonface.recognition.calibration_pairs import CalibrationPairs

    pairs = CalibrationPairs(
        score, issame, people, None, {}, {}, {}, names=[f"p{number}" for number in range(40)]
    )
    made = Calibration.fit(score, issame, people, draws=20)
    lines = [f"p{number},{'even' if number % 2 == 0 else 'odd'}" for number in range(40)]
    (tmp_path / "g.csv").write_text("\n".join(lines))
    rates = group_rates(pairs, made, tmp_path / "g.csv")
    a, b = people
    for parity, (name, wrong, count) in enumerate(rates):
        inside = (a % 2 == parity) & (b % 2 == parity) & ~issame
        assert name == ("even", "odd")[parity]
        assert count == inside.sum()
        assert wrong == (inside & (score > made.default_point.threshold)).sum()
    (tmp_path / "g.csv").write_text("\n".join(lines[1:]))
    with pytest.raises(DataError, match="no group of p0 and 0 other"):
        group_rates(pairs, made, tmp_path / "g.csv")
    (tmp_path / "g.csv").write_text("p1,a\np1,b\n")
    with pytest.raises(DataError, match="line 2: p1 is in two groups"):
        group_rates(pairs, made, tmp_path / "g.csv")
