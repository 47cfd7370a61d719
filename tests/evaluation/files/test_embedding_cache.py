import threading

import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.errors import DataError, InputError
from gluonface.evaluation.files import embedding_cache, image_list


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
    return image_list.ImageList(folder, names)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(embedding_cache, "CHUNK", 3)


def same(one, other):
    assert one.sha256 == other.sha256
    np.testing.assert_array_equal(one.e, other.e)
    np.testing.assert_array_equal(one.f, other.f)


def test_interrupted_work_goes_on_and_done_work_stays(faces, tmp_path):
    known = embedding_cache.embed_images(Means(), faces, batch_size=2)
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
        embedding_cache.embed_images(Breaks(), faces, tmp_path / "c", "m", 2)
    model = Means()
    same(embedding_cache.embed_images(model, faces, tmp_path / "c", "m", 2), known)
    assert model.seen == 5
    model = Means()
    same(embedding_cache.embed_images(model, faces, tmp_path / "c", "m", 7), known)
    assert model.seen == 0
    embedding_cache.embed_images(model, faces, tmp_path / "c", "another model", 7)
    assert model.seen == 11
    file = faces.folder / "3.png"
    file.write_bytes((faces.folder / "4.png").read_bytes() + b" ")
    assert embedding_cache.embed_images(model, faces, tmp_path / "c", "m", 7).sha256 != known.sha256
    assert model.seen == 22


def test_ranks_share_the_images(faces, tmp_path):
    known = embedding_cache.embed_images(Means(), faces)
    gate, models, found = threading.Barrier(3), [Means() for _ in range(3)], [None] * 3

    class Comm:
        size = 3

        def __init__(self, rank):
            self.rank = rank

        def barrier(self, name):
            assert name
            gate.wait(timeout=30)

    def work(rank):
        found[rank] = embedding_cache.embed_images(
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
        embedding_cache.embed_images(Means(), faces, comm=Comm(1))


def test_another_disk_and_a_broken_part_are_named(faces, tmp_path):
    class Alone:
        rank, size = 1, 2

        def barrier(self, name):
            pass

    with pytest.raises(DataError, match=r"part-00000.npz; another rank was to write it"):
        embedding_cache.embed_images(Means(), faces, tmp_path / "c", "m", comm=Alone())
    (part,) = (tmp_path / "c").glob("*/part-00001.npz")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(DataError, match=r"part-00001.npz is broken"):
        embedding_cache.embed_images(Means(), faces, tmp_path / "c", "m")


def test_unreadable_images(faces, tmp_path):
    (faces.folder / "5.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"5.png cannot be used"):
        embedding_cache.embed_images(Means(), faces)
    found = embedding_cache.embed_images(Means(), faces, allow_bad=1, batch_size=1)
    assert np.flatnonzero(found.failed).tolist() == [5]
    assert not found.e[5].any()
    (faces.folder / "10.png").write_bytes(b"nor this")
    with pytest.raises(DataError, match="2 images cannot be read; 1 are allowed"):
        embedding_cache.embed_images(Means(), faces, tmp_path / "c", "m", allow_bad=1)


def test_an_output_that_is_not_finite_names_its_image(faces):
    class Broken(Means):
        def embed_views(self, images, batch_size):
            e, f = super().embed_views(images, batch_size)
            if self.seen > 4:
                f[0, 0] = np.nan
            return e, f

    with pytest.raises(DataError, match=r"output for 3\.png is not finite"):
        embedding_cache.embed_images(Broken(), faces, batch_size=2)


def test_a_part_of_another_model_is_refused(faces, tmp_path):
    embedding_cache.embed_images(Means(), faces, tmp_path / "cache", "one")
    embedding_cache.embed_images(Means(), faces, tmp_path / "cache", "two")
    one, two = sorted((tmp_path / "cache").iterdir())
    (two / "part-00001.npz").write_bytes((one / "part-00001.npz").read_bytes())
    broken = "one" if '"two"' in (one / "key.json").read_text() else "two"
    with pytest.raises(DataError, match=r"part-00001.npz is broken \(it holds outputs of another"):
        embedding_cache.embed_images(Means(), faces, tmp_path / "cache", broken)
