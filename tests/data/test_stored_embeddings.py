"""Embeddings of a record set on disk: written, bound to set and model, read by place and view."""

import json
import re

import numpy as np
import pytest

from gluonface.data import RecordDataset, RecordWriter, images
from gluonface.data.embedding_origin import ModelIdentity
from gluonface.data.stored_embeddings import (
    StoredEmbeddings,
    identify_records,
    write_embeddings,
)
from gluonface.errors import DataError, InputError

MODEL = ModelIdentity("net", {"params": "ab" * 32}, 4)


def write_set(folder, count=6, seed=0):
    random = np.random.default_rng(seed)
    with RecordWriter(folder) as writer:
        for number in range(count):
            image = random.integers(0, 256, (7, 7, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
            writer.add(images.encode(image, 101), number // 2)
    return RecordDataset(folder)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("set"))


def values(views=2, count=6):
    return np.random.default_rng(1).normal(size=(count, views, 4)).astype(np.float32) * 20


def write(path, records, views=2, **kwargs):
    blocks = np.array_split(values(views, len(records)), 2)
    return write_embeddings(path, blocks, identify_records(records), MODEL, views, **kwargs)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("views", [1, 2])
def test_rows_by_place_and_view(tmp_path, records, dtype, views):
    path = tmp_path / "e.npy"
    assert write(path, records, views, dtype=dtype) == (6, 4)
    stored = StoredEmbeddings(path)
    stored.require_records(records)
    stored.require_whole()
    assert stored.model.is_same(MODEL)
    assert (stored.images, stored.views, stored.embedding_size) == (6, views, 4)
    index, mirrored = np.array([5, 0, 3, 5]), np.array([True, False, True, False])
    got = stored.rows(index, mirrored)
    want = values(views)[index, mirrored.astype(int) if views == 2 else 0]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=0 if dtype == "float32" else 2**-11)
    np.testing.assert_array_equal(stored.rows(index), stored.rows(index, np.zeros(4, bool)))
    assert np.load(path, mmap_mode="r").dtype == dtype


def test_class_means_of_any_rows(tmp_path, records):
    write(tmp_path / "e.npy", records, dtype="float32")
    labels = np.array([2, 0, 2, 4, 0, 2])
    means = StoredEmbeddings(tmp_path / "e.npy").class_means(labels, 5)
    unit = values() / np.linalg.norm(values(), axis=2, keepdims=True)
    want = np.zeros((5, 4))
    for row, label in zip(unit, labels):
        want[label] += row.sum(axis=0)
    assert means.shape == (5, 4)
    for rows in (slice(0, 5), slice(1, 3), slice(2, 5), slice(3, 3)):
        np.testing.assert_allclose(means[rows], want[rows], rtol=1e-6, atol=1e-6)


def test_another_set_is_refused(tmp_path, records):
    write(tmp_path / "e.npy", records)
    stored = StoredEmbeddings(tmp_path / "e.npy")
    with pytest.raises(DataError, match=r"with 6 images, .* has 5: another set"):
        stored.require_records(write_set(tmp_path / "fewer", 5))
    with pytest.raises(DataError, match=r"another set, or another order\. Embed this one"):
        stored.require_records(write_set(tmp_path / "other", 6, seed=3))
    about = json.loads((tmp_path / "e.json").read_text())
    about["records"]["index_sha256"] = "00" * 32
    (tmp_path / "e.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="SHA-256 of its index"):
        StoredEmbeddings(tmp_path / "e.npy").require_records(records)


def test_damage_is_named(tmp_path, records):
    path = tmp_path / "e.npy"
    write(path, records)
    whole, about = path.read_bytes(), json.loads((tmp_path / "e.json").read_text())
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DataError, match=r"was altered or cut"):
        StoredEmbeddings(path).require_whole()
    path.write_bytes(whole[:-9])
    with pytest.raises(DataError, match=re.escape(str(path))):
        StoredEmbeddings(path)
    path.write_bytes(whole)
    for key, value in (
        ("format", "else"), ("version", 2), ("images", -1), ("views", 3), ("dtype", "int8"),
        ("embedding_size", "4"), ("model", {"name": "x", "sha256": {}}), ("records", []),
        ("sha256", "12"),
    ):  # fmt: skip
        (tmp_path / "e.json").write_text(json.dumps({**about, key: value}))
        with pytest.raises(DataError, match=f"{key} is "):
            StoredEmbeddings(path)
    (tmp_path / "e.json").write_text(json.dumps({**about, "images": 7}))
    with pytest.raises(DataError, match="belong to different files"):
        StoredEmbeddings(path)
    (tmp_path / "e.json").unlink()
    with pytest.raises(DataError, match="of which set and model"):
        StoredEmbeddings(path)
    with pytest.raises(InputError, match=r"is no \.npy file of embeddings"):
        StoredEmbeddings(tmp_path / "none.npy")


def test_nothing_is_written_of_what_does_not_fit(tmp_path, records):
    path = tmp_path / "e.npy"
    known = identify_records(records)
    with pytest.raises(DataError, match=r"reach 70000, more than float16 can hold; add --dtype"):
        write_embeddings(path, [np.full((6, 1, 4), 7e4, np.float32)], known, MODEL, 1)
    with pytest.raises(DataError, match="5 embeddings for 6 images"):
        write_embeddings(path, [values(1)[:5]], known, MODEL, 1)
    assert list(tmp_path.iterdir()) == []
