import threading

import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.data.alignment import TEMPLATE
from gluonface.errors import DataError, InputError
from gluonface.evaluation.files import embedding_cache, feature_files, image_list


class Means:
    """A stand-in for the Embedder that counts what it sees."""

    card = {"name": "means", "preprocessing": "inside"}  # noqa: RUF012
    embedding_size = 12

    def __init__(self):
        self.seen = 0

    def embed_views(self, images, batch_size):
        assert len(images) <= batch_size
        self.seen += len(images)
        return [
            (x.reshape(len(x), 2, 56, 2, 56, 3).mean(axis=(2, 4)).reshape(len(x), -1) - 128).astype(
                np.float32
            )
            for x in (images, images[:, :, ::-1])
        ]


@pytest.fixture
def faces(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = [f"{i}.png" for i in range(11)]
    for name in names:
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (112, 112, 3)).astype(np.uint8))
    return image_list.Pictures(folder, names)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(embedding_cache, "PART", 3)


def same(one, other):
    assert one.sha256 == other.sha256
    np.testing.assert_array_equal(one.e, other.e)
    np.testing.assert_array_equal(one.f, other.f)


def test_interrupted_work_goes_on_and_done_work_stays(faces, tmp_path):
    known = embedding_cache.embed_pictures(Means(), faces, batch_size=2)
    assert known.e.shape == known.f.shape == (11, 12)
    np.testing.assert_allclose(
        known.e[4], Means().embed_views(faces.read(4)[None], 1)[0][0], rtol=0, atol=1e-4
    )

    class Breaks(Means):
        def embed_views(self, images, batch_size):
            if self.seen >= 6:
                raise KeyboardInterrupt
            return super().embed_views(images, batch_size)

    with pytest.raises(KeyboardInterrupt):
        embedding_cache.embed_pictures(Breaks(), faces, tmp_path / "c", "m", 2)
    model = Means()
    same(embedding_cache.embed_pictures(model, faces, tmp_path / "c", "m", 2), known)
    assert model.seen == 5
    model = Means()
    same(embedding_cache.embed_pictures(model, faces, tmp_path / "c", "m", 7), known)
    assert model.seen == 0
    embedding_cache.embed_pictures(model, faces, tmp_path / "c", "another model", 7)
    assert model.seen == 11
    file = faces.folder / "3.png"
    file.write_bytes((faces.folder / "4.png").read_bytes() + b" ")
    assert (
        embedding_cache.embed_pictures(model, faces, tmp_path / "c", "m", 7).sha256 != known.sha256
    )
    assert model.seen == 22


def test_ranks_share_the_images(faces, tmp_path):
    known = embedding_cache.embed_pictures(Means(), faces)
    gate, models, found = threading.Barrier(3), [Means() for _ in range(3)], [None] * 3

    class Comm:
        size = 3

        def __init__(self, rank):
            self.rank = rank

        def barrier(self, name):
            assert name
            gate.wait(timeout=30)

    def work(rank):
        found[rank] = embedding_cache.embed_pictures(
            models[rank], faces, tmp_path / "c", "m", comm=Comm(rank)
        )

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [model.seen for model in models] == [5, 3, 3]  # parts 0 3, 1, 2
    for one in found:
        same(one, known)
    with pytest.raises(InputError, match="through a cache folder"):
        embedding_cache.embed_pictures(Means(), faces, comm=Comm(1))


def test_another_disk_and_a_broken_part_are_named(faces, tmp_path):
    class Alone:
        rank, size = 1, 2

        def barrier(self, name):
            pass

    with pytest.raises(DataError, match=r"part-00000.npz; another rank was to write it"):
        embedding_cache.embed_pictures(Means(), faces, tmp_path / "c", "m", comm=Alone())
    (part,) = (tmp_path / "c").glob("*/part-00001.npz")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(DataError, match=r"part-00001.npz is broken"):
        embedding_cache.embed_pictures(Means(), faces, tmp_path / "c", "m")


def test_unreadable_images(faces, tmp_path):
    (faces.folder / "5.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"5.png cannot be used"):
        embedding_cache.embed_pictures(Means(), faces)
    found = embedding_cache.embed_pictures(Means(), faces, allow_bad=1, batch_size=1)
    assert np.flatnonzero(found.failed).tolist() == [5]
    assert not found.e[5].any()
    (faces.folder / "10.png").write_bytes(b"nor this")
    with pytest.raises(DataError, match="2 images cannot be read; 1 are allowed"):
        embedding_cache.embed_pictures(Means(), faces, tmp_path / "c", "m", allow_bad=1)


def test_an_output_that_is_not_finite_names_its_image(faces):
    class Broken(Means):
        def embed_views(self, images, batch_size):
            e, f = super().embed_views(images, batch_size)
            if self.seen > 4:
                f[0, 0] = np.nan
            return e, f

    with pytest.raises(DataError, match=r"output for 3\.png is not finite"):
        embedding_cache.embed_pictures(Broken(), faces, batch_size=2)


def test_alignment_is_the_least_squares_similarity():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (200, 180, 3)).astype(np.uint8), (0, 0), 4)
    points = TEMPLATE * 1.3 @ np.array([[0.9, 0.3], [-0.3, 0.9]]) + [20, 5]
    points = points + rng.normal(size=(5, 2))
    aligned = image_list.align(image, points)
    assert aligned.shape == (112, 112, 3)
    # Least squares solved the long way: a x - b y + c, b x + a y + d.
    rows, wanted = [], TEMPLATE.ravel()
    for x, y in points:
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
    a, b, c, d = np.linalg.lstsq(np.array(rows), wanted, rcond=None)[0]
    known = cv2.warpAffine(image, np.array([[a, -b, c], [b, a, d]]), (112, 112), borderValue=0.0)
    assert np.abs(aligned.astype(int) - known).max() <= 1  # rounding of the last bit
    with pytest.raises(DataError, match="lie in one place"):
        image_list.align(image, np.ones((5, 2)))


def test_people_and_pictures(tmp_path):
    for name in ("ann/1.jpg", "bob/x/2.PNG", "bob/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert image_list.people_of(tmp_path) == (["ann/1.jpg", "bob/x/2.PNG"], ["ann", "bob"])
    with pytest.raises(InputError, match=r"lacks 1 of the 2 listed images; the first is cat/3.jpg"):
        image_list.Pictures(tmp_path, ["ann/1.jpg", "cat/3.jpg"])
    (tmp_path / "loose.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"loose.jpg lies in no person's folder"):
        image_list.people_of(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        image_list.people_of(tmp_path / "none")
    cv2.imwrite(str(tmp_path / "ann/1.jpg"), np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(DataError, match="80x60; expected an aligned face of 112x112"):
        image_list.Pictures(tmp_path, ["ann/1.jpg"]).read(0)
    resized = image_list.Pictures(tmp_path, ["ann/1.jpg"], resize=True).read(0)
    assert resized.shape == (112, 112, 3)


def test_stored_features(tmp_path):
    e = np.arange(12.0).reshape(4, 3)
    np.savez(tmp_path / "a.npz", embedding=e, path=["w", "x", "y", "z"], label=[1, 2, 3, 4])
    held = feature_files.load_features(tmp_path / "a.npz")
    assert held.arrays["label"].tolist() == [1, 2, 3, 4]
    assert held.arranged(["z", "x"], "list").e.tolist() == e[[3, 1]].tolist()
    with pytest.raises(
        InputError, match="has no feature of q and 0 others of the 2 images of list"
    ):
        held.arranged(["z", "q"], "list")
    np.save(tmp_path / "b.npy", e)
    bare = feature_files.load_features(tmp_path / "b.npy")
    assert bare.arranged(list("abcd"), "list").e.tolist() == e.tolist()
    with pytest.raises(InputError, match="holds 4 features and list 3 images"):
        bare.arranged(list("abc"), "list")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.ones((2, 2))}, "holds x; expected an array e or embedding"),
        ({"e": np.ones(4)}, "features have shape"),
        ({"e": np.array([[1.0, 2], [np.nan, 1]])}, "e row 1 is not finite"),
        ({"e": np.ones((2, 2)), "f": np.ones((3, 2))}, "3 features for 2 entries"),
        ({"e": np.ones((2, 2)), "path": np.array(["a"])}, "path has shape"),
        ({"e": np.array([{}], object)}, "cannot be read as plain arrays"),
    ],
)
def test_wrong_stored_features_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=said):
        feature_files.load_features(tmp_path / "a.npz")


def test_files_that_are_no_features(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match="cannot be read"):
        feature_files.load_features(tmp_path / "a.npz")
    with pytest.raises(InputError, match="there is no file"):
        feature_files.load_features(tmp_path / "b.npy")
    (tmp_path / "c.txt").write_bytes(b"")
    with pytest.raises(InputError, match=r"expected features in a \.npy or \.npz"):
        feature_files.load_features(tmp_path / "c.txt")
