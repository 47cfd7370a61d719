"""Class centres and embeddings are read from what training and `gluonface embed` write."""

import json

import numpy as np
import pytest
from planted_noise import plant

from gluonface.data.tools import stored_embeddings
from gluonface.errors import DataError, InputError


def write_blocks(folder, centers, size=4):
    """Write class centres as a checkpoint does, some classes a file."""
    classes, k, width = centers.shape
    folder.mkdir(parents=True)
    for start in range(0, classes, size):
        rows = centers[start : start + size].reshape(-1, k * width)
        np.save(folder / f"head-weight-{start:09d}.npy", rows)
        np.save(folder / f"head-momentum-{start:09d}.npy", 0 * rows)
    manifest = {"classes": classes, "embedding_size": width}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_best_checkpoint_of_a_run_is_read(size, tmp_path):
    centers = plant().centers
    write_blocks(tmp_path / "run/checkpoints/last", centers, size)
    np.testing.assert_array_equal(stored_embeddings.load_centers(tmp_path / "run"), centers)
    write_blocks(tmp_path / "run/checkpoints/best", 2 * centers, size)
    np.testing.assert_array_equal(stored_embeddings.load_centers(tmp_path / "run"), 2 * centers)
    folder = tmp_path / "run/checkpoints/last"
    np.testing.assert_array_equal(stored_embeddings.load_centers(folder), centers)


def test_files_of_classes_are_joined(tmp_path):
    centers = plant().centers
    folder = tmp_path / "run/checkpoints/last"
    write_blocks(folder, centers)
    np.testing.assert_array_equal(stored_embeddings.load_centers(tmp_path / "run"), centers)
    last = sorted(folder.glob("head-weight-*.npy"))[-1]
    last.rename(tmp_path / last.name)
    with pytest.raises(DataError, match=f"classes, {len(centers)} were expected"):
        stored_embeddings.load_centers(folder)
    first = folder / "head-weight-000000000.npy"
    (tmp_path / last.name).rename(folder / last.name)
    first.rename(tmp_path / "first.npy")
    with pytest.raises(DataError, match="classes from 0 on"):
        stored_embeddings.load_centers(folder)
    np.save(first, np.ones((4, 3 * centers.shape[2] + 1)))
    with pytest.raises(DataError, match="do not join"):
        stored_embeddings.load_centers(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"not a whole checkpoint: manifest\.json"):
        stored_embeddings.load_centers(folder)


def test_files_that_do_not_join_are_named(tmp_path):
    centers = plant().centers
    folder = tmp_path / "c"
    write_blocks(folder, centers, 2)
    second = folder / "head-weight-000000002.npy"
    kept = second.read_bytes()
    second.unlink()
    with pytest.raises(DataError, match=r"head-weight-000000004\.npy .* classes from 2 on"):
        stored_embeddings.load_centers(folder)
    np.save(second, np.ones((2, centers.shape[2])))
    with pytest.raises(DataError, match=r"head-weight-000000002\.npy belongs to another"):
        stored_embeddings.load_centers(folder)
    second.write_bytes(kept[:100])
    with pytest.raises(DataError, match=r"head-weight-000000002\.npy cannot be read"):
        stored_embeddings.load_centers(folder)
    np.save(second, np.array(["a", "b"]))
    with pytest.raises(DataError, match=r"head-weight-000000002\.npy holds <U1"):
        stored_embeddings.load_centers(folder)
    with pytest.raises(InputError, match="no checkpoint with class centres"):
        stored_embeddings.load_centers(tmp_path)


def test_arrays_are_read_and_checked(tmp_path):
    made = plant()
    np.save(tmp_path / "c.npy", made.centers)
    np.testing.assert_array_equal(stored_embeddings.load_centers(tmp_path / "c.npy"), made.centers)
    np.save(tmp_path / "c1.npy", made.centers[:, 0])
    np.testing.assert_array_equal(
        stored_embeddings.load_centers(tmp_path / "c1.npy"), made.centers[:, :1]
    )
    np.save(tmp_path / "e.npy", made.embeddings)
    assert isinstance(stored_embeddings.load_embeddings(tmp_path / "e.npy"), np.memmap)
    np.savez(tmp_path / "e.npz", embedding=made.embeddings, label=made.labels)
    read = stored_embeddings.load_embeddings(tmp_path / "e.npz", made.labels)
    np.testing.assert_array_equal(read, made.embeddings)
    with pytest.raises(InputError, match="row 0 has the label 0, the image has 1"):
        stored_embeddings.load_embeddings(tmp_path / "e.npz", made.labels + 1)
    with pytest.raises(InputError, match="there is no file"):
        stored_embeddings.load_embeddings(tmp_path / "none.npz")
    with pytest.raises(InputError, match="there is no file"):
        stored_embeddings.load_centers(tmp_path / "none.npy")
    with pytest.raises(InputError, match=r"is a \.npz file"):
        stored_embeddings.load_centers(tmp_path / "e.npz")
    np.savez(tmp_path / "x.npz", e=made.embeddings)
    with pytest.raises(DataError, match="holds e; the array embedding"):
        stored_embeddings.load_embeddings(tmp_path / "x.npz")
    np.save(tmp_path / "flat.npy", np.ones(3))
    for load in (stored_embeddings.load_centers, stored_embeddings.load_embeddings):
        with pytest.raises(DataError, match=r"holds float64 \(3,\)"):
            load(tmp_path / "flat.npy")
    np.save(tmp_path / "object.npy", np.array([{}, 1], object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        stored_embeddings.load_centers(tmp_path / "object.npy")


def test_embeddings_of_another_model_than_the_centres(tmp_path, caplog):
    from gluonface.data.embedding_origin import EmbeddingOrigin, ModelIdentity

    one, other = (ModelIdentity(name, {"params": name[0] * 64}) for name in ("a-net", "b-net"))
    file = tmp_path / "e.npz"
    np.savez(file, embedding=np.ones((4, 3)), **EmbeddingOrigin(one, "sum").to_arrays())
    assert stored_embeddings.load_embeddings(file, model=one).shape == (4, 3)
    assert stored_embeddings.load_embeddings(file).shape == (4, 3)
    with pytest.raises(DataError, match=r"holds embeddings of a-net .*the run of the class centr"):
        stored_embeddings.load_embeddings(file, model=other)
    np.savez(file, embedding=np.ones((4, 3)))
    stored_embeddings.load_embeddings(file, model=other)
    assert "does not say which model" in caplog.text
