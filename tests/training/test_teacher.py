"""Training with a teacher: on line or on disk, exact after a resume, mistakes named."""

import numpy as np
import pytest
from reference import aux_kd_cosine
from trainers import Watch, make
from training_fixtures import StopAt, write_noise

from gluonface._compat import mx
from gluonface.cli import main
from gluonface.data import Batch
from gluonface.data.embedding_origin import ModelIdentity
from gluonface.data.stored_embeddings import identify_records, write_embeddings
from gluonface.deploy import Embedder, export_model
from gluonface.errors import DataError, InputError, TrainingError
from gluonface.model_zoo import get_model
from gluonface.training.checkpoint.checkpoints import load_state, save_state
from gluonface.training.teacher import NetworkTeacher, StoredTeacher

SIZE = 6  # of the teacher; the student's is 8
SEPARATE = {"kd_cosine": 3.0, "kd_l2": 1.0, "rkd_distance": {}, "rkd_angle": {}, "ekd": {}}


@pytest.fixture(scope="module")
def source(tiny, tmp_path_factory):
    """Return the prefix of an exported teacher."""
    mx.random.seed(3)
    net = get_model("tiny", embedding_size=SIZE)
    prefix = tmp_path_factory.mktemp("teacher") / "net"
    export_model(net, prefix)
    return str(prefix)


@pytest.fixture(scope="module")
def embedded(source, noise_set, tmp_path_factory):
    """Return the teacher's embeddings of the training set, as the command writes them."""
    out = tmp_path_factory.mktemp("embedded") / "e.npy"
    words = ["embed", "--model", source, "--input", noise_set.data, "--out", str(out)]
    assert main([*words, "--views", "--dtype", "float32", "--engine", "mxnet"]) == 0
    return str(out)


def distilled(noise_set, teacher, auxiliary, callbacks=(), **sections):
    """Return a trainer whose loss has auxiliary losses and a teacher."""
    loss = {"auxiliary": auxiliary}
    teacher = {"engine": "mxnet", **teacher}
    return make(noise_set, callbacks, teacher=teacher, loss=loss, **sections)


def first_batch(trainer):
    return next(iter(trainer.loader.epoch(0)))


def test_both_teachers_give_the_embeddings_of_the_images_as_they_are(noise_set, source, embedded):
    network = distilled(noise_set, {"source": source}, {"kd_cosine": 1.0})
    stored = distilled(noise_set, {"embeddings": embedded}, {"kd_cosine": 1.0})
    assert isinstance(network.teacher, NetworkTeacher)
    assert isinstance(stored.teacher, StoredTeacher)
    assert network.teacher.model.is_same(stored.teacher.model)
    batch = first_batch(network)
    assert 0 < batch.mirrored.sum() < len(batch.mirrored)
    images = batch.images.transpose(0, 2, 3, 1)
    want = Embedder.load(source, engine="mxnet").outputs(images)
    np.testing.assert_array_equal(network.teacher(batch), want)
    # JPEG is decoded once more, and the batch is another.
    np.testing.assert_allclose(stored.teacher(batch), want, rtol=1e-4, atol=1e-4)
    plain = stored.teacher(batch._replace(mirrored=None))
    assert np.abs(plain - want)[batch.mirrored].max() > 1e-2


def test_the_loss_has_the_weighted_term_and_it_is_logged(noise_set, source):
    trainer = distilled(noise_set, {"source": source}, {"kd_l2": {"weight": 3.0}})
    bare = make(noise_set)
    batch = first_batch(trainer)
    total = trainer.step(batch).asscalar()
    alone = bare.step(batch).asscalar()
    trainer.collect()
    value = trainer.last_result.auxiliary["kd_l2"]
    assert value > 0.1
    assert total == pytest.approx(alone + 3.0 * value, rel=1e-5)


def test_a_student_learns_the_directions_of_its_teacher(noise_set, embedded):
    """And the matrix between their sizes is learned with it."""
    watch = Watch()
    trainer = distilled(
        noise_set, {"embeddings": embedded}, {"kd_cosine": 30.0}, [watch], train={"steps": 30}
    )
    before = trainer.auxiliary.state_dict()["kd_cosine/projection"]
    trainer.fit()
    after = trainer.auxiliary.state_dict()["kd_cosine/projection"]
    assert np.abs(after - before).max() > 0.01
    batch = first_batch(trainer)
    x = trainer.net(mx.nd.array(batch.images)).asnumpy().astype(np.float64)
    loss = aux_kd_cosine.run(x @ after.T, trainer.teacher(batch), batch.labels, {})["loss"]
    assert loss.mean() < 0.5  # 1 for directions that have nothing to do with each other


@pytest.mark.parametrize("where", [pytest.param("source", marks=pytest.mark.slow), "embeddings"])
def test_resume_is_exact(noise_set, source, embedded, tmp_path, where):
    teacher = {where: source if where == "source" else embedded}
    losses = {**SEPARATE, "kd_cosine": {"weight": 3.0, "schedule": {0: 0, 2: 1, "0.75": 0.5}}}
    if where == "embeddings":
        teacher["centers"], losses["kd_logits"] = "means", 0.1
    sections = {"optimizer": {"name": "sgd", "lr": 0.05}, "head": {"sample_rate": 0.7}}
    whole = distilled(noise_set, teacher, losses, [watch := Watch()], **sections)
    whole.fit()
    half = distilled(noise_set, teacher, losses, [StopAt(3)], **sections)
    half.fit()
    save_state(tmp_path, half)
    rest = distilled(noise_set, teacher, losses, [after := Watch()], **sections)
    load_state(tmp_path, rest)
    rest.fit()
    assert after.losses == watch.losses[3:]
    for key, value in whole.auxiliary.state_dict().items():
        np.testing.assert_array_equal(rest.auxiliary.state_dict()[key], value)
    for key, value in whole.head.row_arrays().items():
        np.testing.assert_array_equal(rest.head.row_arrays()[key], value)


def test_a_factor_of_0_leaves_a_loss_out(noise_set, embedded):
    trainer = distilled(
        noise_set, {"embeddings": embedded}, {"kd_cosine": {"schedule": {0: 0, 1: 1}}}
    )
    asked = []
    teacher = trainer.teacher
    trainer.teacher = lambda batch: asked.append(1) or teacher(batch)
    batch = first_batch(trainer)
    trainer.step(batch)
    assert asked == []
    trainer.collect()
    assert trainer.last_result.auxiliary == {}
    trainer.progress.step = 1
    trainer.step(batch)
    assert asked == [1]


def test_mixed_images_are_the_teachers_too(noise_set, source):
    trainer = distilled(
        noise_set,
        {"source": source},
        {"kd_cosine": 1.0},
        data={"path": noise_set.data, "batch_size": 8, "augment": ["mixup"]},
    )
    batch = first_batch(trainer)
    assert batch.shares is not None
    assert trainer.teacher(batch).shape == (8, SIZE)
    assert np.isfinite(trainer.step(batch).asscalar())


def test_another_teacher_is_refused_on_resume(noise_set, embedded, tmp_path):
    trainer = distilled(noise_set, {"embeddings": embedded}, {"kd_cosine": 1.0})
    state = trainer.state_dict()
    trainer.teacher.model = ModelIdentity("other", {"params": "cd" * 32})
    with pytest.raises(TrainingError, match=r"the run learned from tiny .* is other"):
        trainer.load_state_dict(state)


def write(noise_set, path, views=2, count=None, size=SIZE):
    """Write random embeddings of a set."""
    from gluonface.data import RecordDataset

    records = RecordDataset(noise_set.data)
    values = np.random.default_rng(0).normal(size=(len(records), views, size))
    model = ModelIdentity("net", {"params": "ab" * 32}, size)
    write_embeddings(path, [values], identify_records(records), model, views)
    return str(path)


def test_wrong_teachers_are_named(noise_set, source, tmp_path, caplog):
    one = write(noise_set, tmp_path / "one.npy", views=1)
    with pytest.raises(InputError, match="no embeddings of mirrored images"):
        distilled(noise_set, {"embeddings": one}, {"kd_cosine": 1.0})
    plain = {"path": noise_set.data, "batch_size": 8, "flip": False}
    assert distilled(noise_set, {"embeddings": one}, {}, data=plain).teacher is not None
    other = write_noise(tmp_path / "other")
    (tmp_path / "other/train.rec").write_bytes(
        (tmp_path / "other/train.rec").read_bytes() + b"\0" * 4
    )
    with pytest.raises(DataError, match="another set, or another order"):
        distilled(other, {"embeddings": one}, {"kd_cosine": 1.0})
    two = write(noise_set, tmp_path / "two.npy")
    colored = {"path": noise_set.data, "batch_size": 8, "augment": ["color_jitter"]}
    distilled(noise_set, {"embeddings": two}, {"kd_cosine": 1.0}, data=colored)
    assert "images without color_jitter" in caplog.text
    (tmp_path / "two.npy").write_bytes((tmp_path / "two.npy").read_bytes()[:-2] + b"\1\1")
    with pytest.raises(DataError, match="altered or cut"):
        distilled(noise_set, {"embeddings": two}, {"kd_cosine": 1.0})
    with pytest.raises(InputError, match="random weights, which teach nothing"):
        distilled(noise_set, {"source": "mobilefacenet:untrained"}, {"kd_cosine": 1.0})
    with pytest.raises(InputError, match="kd_cosine compares with a teacher"):
        distilled(noise_set, {}, {"kd_cosine": 1.0})


def test_wrong_centres_are_named(noise_set, source, tmp_path):
    def kd(**teacher):
        return distilled(noise_set, teacher, {"kd_logits": 1.0})

    with pytest.raises(InputError, match="needs the teacher's class centres"):
        kd(source=source)
    with pytest.raises(InputError, match="are those of embeddings on disk"):
        kd(source=source, centers="means")
    path = tmp_path / "c.npy"
    for shape, words in (((6, 9), r"shape \(6, 9\), expected \(6, 6\)"), ((5, 6), "one for each")):
        np.save(path, np.ones(shape, np.float32))
        with pytest.raises(InputError, match=words):
            kd(source=source, centers=str(path))
    path.write_bytes(b"no array")
    with pytest.raises(DataError, match=r"c\.npy.* cannot be read"):
        kd(source=source, centers=str(path))
    np.save(path, np.eye(6, dtype=np.float32))
    trainer = kd(source=source, centers=str(path))
    assert np.isfinite(trainer.step(first_batch(trainer)).asscalar())


def test_the_command_writes_what_training_reads(noise_set, source, tmp_path, capsys):
    words = ["embed", "--model", source, "--input", noise_set.data]
    assert main([*words, "--out", str(tmp_path / "e.npy")]) == 0
    assert "48 images, 1 x 6 values" in capsys.readouterr().out
    assert main([*words, "--out", str(tmp_path / "e.txt")]) == 2
    assert "ends in .npz or .npy" in capsys.readouterr().err
    assert main([*words, noise_set.data, "--out", str(tmp_path / "e.npy")]) == 2
    assert "one record set" in capsys.readouterr().err
    words[2] = "mobilefacenet:untrained"
    assert main([*words, "--out", str(tmp_path / "u.npy")]) == 2
    assert "random weights" in capsys.readouterr().err


def test_a_batch_without_flips_reads_the_plain_view(noise_set, embedded):
    stored = distilled(noise_set, {"embeddings": embedded}, {"kd_cosine": 1.0}).teacher
    batch = Batch(None, None, np.array([4, 2]))
    np.testing.assert_array_equal(stored(batch), stored.stored.rows(np.array([4, 2])))
