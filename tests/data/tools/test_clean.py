import csv

import numpy as np
import pytest
from planted_noise import plant
from reference import clean as slow

from gluonface.data import RecordDataset, RecordWriter, images
from gluonface.data.tools import clean
from gluonface.errors import DataError, InputError


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_planted_noise_is_found_and_the_rest_kept(k):
    made = plant(k=k)
    found = clean.find_mislabelled(made.embeddings, made.labels, made.centers)
    np.testing.assert_array_equal(found.kept, made.truth < 2)
    np.testing.assert_array_equal(found.dominant, made.places)
    assert set(found.reason) == {0, 1}
    if k > 1:  # hard images are nearest to a sub-centre of their own, and stay all the same
        hard = found.nearest[made.truth == 1] != found.dominant[made.labels[made.truth == 1]]
        assert hard.all()
    strict = clean.find_mislabelled(made.embeddings, made.labels, made.centers, angle=30)
    np.testing.assert_array_equal(strict.kept, made.truth == 0)


@pytest.mark.parametrize("block", [1, 500, 1 << 21])
@pytest.mark.parametrize("k", [1, 4])
def test_equals_the_twin(k, block):
    random = np.random.RandomState(k)
    labels = random.randint(0, 7, 90)
    labels[labels == 3] = 4  # a class without images
    labels[0], labels[1:][labels[1:] == 6] = 6, 5  # and one with a single one
    centers = random.randn(7, k, 16).astype(np.float32)
    embeddings = (centers[labels, 0] + 1.5 * random.randn(90, 16)).astype(np.float32)
    embeddings[0] = centers[6, 0] + 0.3 * random.randn(16)  # which is near its centre
    found = clean.find_mislabelled(embeddings, labels, centers, 62.0, 4, block=block)
    angle, nearest, dominant, reason = slow.find_mislabelled(
        embeddings.tolist(), labels.tolist(), centers.tolist(), 62.0, 4
    )
    # Both are float64 of the same float32 numbers; acos is steep at 0 degrees alone.
    np.testing.assert_allclose(found.angle, angle, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.nearest, nearest)
    np.testing.assert_array_equal(found.dominant, dominant)
    np.testing.assert_array_equal(found.reason, reason)
    assert set(reason) == {0, 1, 2}
    summary = found.summary()
    assert summary["dropped_angle"] == reason.count(1)
    assert summary["dropped_class"] == reason.count(2)
    assert summary["kept"] + summary["dropped"] == summary["images"] == 90
    assert sum(summary["histogram"]["images"]) == 90
    assert summary["histogram"]["images"][12] == sum(60 <= one < 65 for one in angle)


@pytest.mark.parametrize("block", [40, 1 << 21])
def test_class_means_equal_the_twin_and_find_the_noise(block):
    made = plant()
    made.labels[made.labels == 2] = 7  # classes without images
    means = clean.class_means(made.embeddings, made.labels, 9, block=block)
    expected = slow.class_means(made.embeddings.tolist(), made.labels.tolist(), 9)
    assert means.dtype == np.float32
    np.testing.assert_allclose(means[:, 0], expected, rtol=0, atol=1e-7)  # float32 of float64
    found = clean.find_mislabelled(made.embeddings, made.labels, means)
    np.testing.assert_array_equal(found.kept, made.truth < 2)


def test_limits_are_met_exactly():
    # Halves and ones: the cosine of 60 degrees is exact, that of 180 too.
    centers = np.array([[[1.0, 0, 0, 0]], [[0, 0, 0, 2.0]]])
    embeddings = np.array([[1.0, 1, 1, 1], [3, 0, 0, 0], [0, 0, 0, -1]])
    found = clean.find_mislabelled(embeddings, [0, 0, 1], centers, angle=60.0000001)
    assert found.kept.tolist() == [True, True, False]
    assert found.angle[1:].tolist() == [0, 180]
    assert clean.find_mislabelled(embeddings, [0, 0, 1], centers, 59.9999999).kept.sum() == 1
    assert clean.find_mislabelled(embeddings, [0, 0, 1], centers, 180).kept.all()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"embeddings": np.ones((4, 3))}, InputError, "4 embeddings of 3 images"),
        ({"embeddings": np.ones(3)}, InputError, r"shape \(3,\)"),
        ({"embeddings": np.ones((3, 4))}, InputError, "4 values, centres 3"),
        ({"embeddings": np.ones((3, 6))}, InputError, "--flip sum"),
        ({"centers": np.ones((2, 3))}, InputError, r"shape \(2, 3\)"),
        ({"labels": [0, 1, 2]}, InputError, "centres of 2 classes.*label 2"),
        ({"labels": [0, 1, -1]}, InputError, "label -1"),
        ({"angle": 0}, InputError, "angle is 0"),
        ({"angle": float("nan")}, InputError, "angle is nan"),
        ({"min_images": 0}, InputError, "min_images is 0"),
    ],
)
def test_what_does_not_fit_is_named(change, error, text):
    given = {"embeddings": np.ones((3, 3)), "labels": [0, 1, 1], "centers": np.ones((2, 1, 3))}
    with pytest.raises(error, match=text):
        clean.find_mislabelled(**{**given, **change})


@pytest.mark.parametrize("block", [1, 1 << 21])
@pytest.mark.parametrize(("value", "state"), [(np.nan, "not finite"), (np.inf, "not finite")])
def test_broken_numbers_are_named(value, state, block):
    made = plant()
    embeddings = made.embeddings.copy()
    embeddings[17, 5] = value
    with pytest.raises(DataError, match=rf"row 17 of the embeddings \(record 18\) is {state}"):
        clean.find_mislabelled(
            embeddings, made.labels, made.centers, key=lambda row: row + 1, block=block
        )
    with pytest.raises(DataError, match=f"row 17 of the embeddings is {state}"):
        clean.class_means(embeddings, made.labels, 6, block=block)
    embeddings[17] = 0
    with pytest.raises(DataError, match="row 17 of the embeddings is zero"):
        clean.find_mislabelled(embeddings, made.labels, made.centers, block=block)
    centers = made.centers.copy()
    centers[4, 2, 0] = value
    with pytest.raises(DataError, match=f"sub-centre 2 of class 4 is {state}"):
        clean.find_mislabelled(made.embeddings, made.labels, centers, block=block)


def records(folder, made, side=16):
    pixels = np.random.RandomState(1).randint(0, 256, (len(made.labels), side, side, 3))
    encoded = [images.encode(one.astype(np.uint8), 101) for one in pixels]
    with RecordWriter(folder) as writer:
        for data, label in zip(encoded, made.labels):
            writer.add(data, label)
    return RecordDataset(folder), encoded


@pytest.mark.parametrize("keep_ids", [False, True])
def test_the_cleaned_set_has_the_same_bytes(keep_ids, tmp_path):
    made = plant()
    made.embeddings[made.labels == 2] *= -1  # class 2 is noise altogether
    dataset, encoded = records(tmp_path / "in", made)
    found = clean.find_mislabelled(made.embeddings, made.labels, made.centers)
    clean.write_clean(dataset, found, made.centers, tmp_path / "out", keep_ids, progress=False)
    kept = np.flatnonzero((made.truth < 2) & (made.labels != 2))
    assert found.classes.tolist() == [0, 1, 3, 4, 5]
    cleaned = RecordDataset(tmp_path / "out")
    assert [cleaned.read(i) for i in range(len(cleaned))] == [encoded[i] for i in kept]
    old = made.labels[kept]
    np.testing.assert_array_equal(cleaned.labels, old if keep_ids else old - (old > 2))
    assert cleaned.num_classes == (6 if keep_ids else 5)
    centers = np.load(tmp_path / "out/centers.npy", allow_pickle=False)
    dominant = made.centers[np.arange(6), found.dominant]
    assert centers.dtype == np.float32
    np.testing.assert_array_equal(centers, dominant if keep_ids else dominant[found.classes])
    assert (tmp_path / "out/identities.csv").exists() != keep_ids
    if not keep_ids:
        text = (tmp_path / "out/identities.csv").read_text()
        assert text.split() == ["identity,was", "0,0", "1,1", "2,3", "3,4", "4,5"]


def test_dropped_images_are_listed(tmp_path):
    made = plant()
    found = clean.find_mislabelled(made.embeddings, made.labels, made.centers, 75, 12)
    found.reason[found.labels == 5] = 2
    clean.write_dropped(tmp_path / "d.csv", found, lambda i: i + 1)
    with open(tmp_path / "d.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["record"]) - 1 for row in rows] == np.flatnonzero(~found.kept).tolist()
    for row in rows:
        i = int(row["record"]) - 1
        assert int(row["identity"]) == made.labels[i]
        assert float(row["angle"]) == pytest.approx(found.angle[i], abs=6e-4)  # three decimals
        assert row["reason"] == ("class" if made.labels[i] == 5 else "angle")


def test_a_mixed_plain_set_is_sorted_by_identity(tmp_path):
    made = plant()
    _, encoded = records(tmp_path / "in", made)
    shuffled = np.random.RandomState(3).permutation(len(made.labels))
    labels = made.labels[shuffled]
    with RecordWriter(tmp_path / "mixed", plain=True) as writer:  # as im2rec's files may be
        for number, label in zip(shuffled, labels):
            writer.add(encoded[number], label)
    found = clean.find_mislabelled(made.embeddings[shuffled], labels, made.centers)
    clean.write_clean(
        RecordDataset(tmp_path / "mixed"), found, made.centers, tmp_path / "out", progress=False
    )
    cleaned = RecordDataset(tmp_path / "out")
    assert (np.diff(cleaned.labels) >= 0).all()
    expected = {(encoded[i], int(made.labels[i])) for i in np.flatnonzero(made.truth < 2)}
    assert {(cleaned.read(i), int(cleaned.labels[i])) for i in range(len(cleaned))} == expected


def test_interrupted_cleaning_goes_on(tmp_path, monkeypatch):
    made = plant()
    dataset, _ = records(tmp_path / "in", made)
    found = clean.find_mislabelled(made.embeddings, made.labels, made.centers)
    out, asked = tmp_path / "out", []
    read = dataset.read

    def interrupted(index):
        asked.append(index)
        if len(asked) == 40:
            raise KeyboardInterrupt
        return read(index)

    monkeypatch.setattr(dataset, "read", interrupted)
    write = {"progress": False, "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        clean.write_clean(dataset, found, made.centers, out, **write)
    assert {path.name for path in out.iterdir()} == {".train.rec.part", ".writing.json"}
    first = asked[:]  # one thread, which had read ahead
    clean.write_clean(dataset, found, made.centers, out, **write)
    assert asked[len(first) :][0] == first[39]  # what was written is not read again
    clean.write_clean(dataset, found, made.centers, tmp_path / "whole", **write)
    names = {"train.rec", "train.idx", "property", "left_out.csv", "identities.csv", "centers.npy"}
    assert {path.name for path in out.iterdir()} == names
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    with pytest.raises(InputError, match="--overwrite"):
        clean.write_clean(dataset, found, made.centers, out, **write)


def test_nothing_left_is_an_error(tmp_path):
    made = plant()
    dataset, _ = records(tmp_path / "in", made)
    found = clean.find_mislabelled(made.embeddings, made.labels, made.centers, angle=0.001)
    with pytest.raises(InputError, match=r"no image is within 0.001 degrees"):
        clean.write_clean(dataset, found, made.centers, tmp_path / "out")
    assert not (tmp_path / "out").exists()
