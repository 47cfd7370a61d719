"""Auxiliary losses in a recipe, in the loop, in a checkpoint."""

import numpy as np
import pytest
from training_fixtures import StopAt

from gluonface._compat import mx
from gluonface.errors import InputError, TrainingError
from gluonface.training.build import build
from gluonface.training.checkpoint.checkpoints import load_state, save_state
from gluonface.training.config.config import config_from_dict, config_to_dict
from gluonface.training.config.recipes import load_config, parse_override, read_recipe
from gluonface.training.optimizer_step import OptimizerStep
from gluonface.training.precision import LossScale


def make(noise_set, auxiliary, head=None, loss=None, train=None):
    loss = {"name": "arcface", "margin": 0.3, "scale": 16.0} if loss is None else loss
    settings = {
        "model": {"name": "tiny"},
        "loss": {**loss, "auxiliary": auxiliary},
        "head": head or {},
        "data": {"path": noise_set.data, "batch_size": 8},
        "optimizer": {"name": "sgd", "lr": 0.05, "clip_norm": 5.0},
        "train": {"steps": 6} if train is None else train,
        "log": {"every": 2},
    }
    return build(config_from_dict(settings))


LIST = ["arcface", {"center": 0.01}, "triplet", {"ring": {"weight": "1e-3"}, "focal": {}}]
SECTION = {
    "name": "arcface",
    "auxiliary": {"center": 0.01, "triplet": {}, "ring": {"weight": 1e-3}, "focal": {}},
}


def test_list_and_section_are_the_same():
    want = config_from_dict({"loss": SECTION})
    assert config_from_dict({"loss": LIST}) == want
    assert want.loss.auxiliary == SECTION["auxiliary"]
    assert config_from_dict(config_to_dict(want)) == want
    assert config_from_dict({"loss": "cosface"}).loss.name == "cosface"
    margin = config_from_dict({"loss": [{"arcface": {"margin": 0.3}}]}).loss
    assert (margin.name, margin.arguments, margin.auxiliary) == ("arcface", {"margin": 0.3}, {})


def test_recipe_file_and_command_line(tmp_path):
    (tmp_path / "base.yaml").write_text("loss: [cosface, {center: 0.01, ring: 0.1}]\n")
    (tmp_path / "top.yaml").write_text(
        "extends: base.yaml\nloss: {margin: 0.2, auxiliary: {center: 1e-3, triplet: {}}}\n"
    )
    assert read_recipe(tmp_path / "base.yaml")["loss"]["name"] == "cosface"
    overrides = [
        parse_override(text)
        for text in ("loss.auxiliary.ring=null", "loss.auxiliary.center=0.5", "loss.margin=0.1")
    ]
    loss = load_config(tmp_path / "top.yaml", None, overrides).loss
    assert loss.auxiliary == {"center": 0.5, "triplet": {}}
    assert (loss.name, loss.arguments) == ("cosface", {"margin": 0.1})
    (tmp_path / "top.yaml").write_text("loss: [softmax, {center: 0.01}]\n")
    loss = load_config("mobilefacenet-arcface", tmp_path / "top.yaml").loss
    assert (loss.name, loss.auxiliary) == ("softmax", {"center": 0.01})
    loss = load_config(overrides=[parse_override("loss=[arcface, {center: 0.01}]")]).loss
    assert (loss.name, loss.auxiliary) == ("arcface", {"center": 0.01})


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ([], "names no loss"),
        (["arcface", 0.1], "0.1 is neither a loss"),
        ([{"arcface": 0.5}], "has no weight"),
        (["arcface", {"ring": 1}, {"ring": 2}], "twice"),
        ({"auxiliary": 0.1}, "loss.auxiliary = 0.1 is not a section"),
    ],
)
def test_mistakes_of_form(loss, words):
    with pytest.raises(InputError, match=words):
        config_from_dict({"loss": loss})


@pytest.mark.parametrize(
    ("auxiliary", "words"),
    [
        ({"centr": 0.1}, "'center'"),
        ({"center": -1}, "weight=-1"),
        ({"triplet": {"margn": 1}}, "'margin'"),
        ({"focal": 2.0}, "gamma"),
        ({"cosface": {}}, "loss of a head"),
        ({"center": 0.1, "Centre": 0.1}, "given twice"),
    ],
)
def test_mistakes_are_named_before_training(tiny, noise_set, auxiliary, words):
    with pytest.raises(InputError, match=words):
        make(noise_set, auxiliary)


def test_label_smoothing_goes_to_the_head(tiny, noise_set):
    for value in (0.2, {"smoothing": 0.2}):
        config = config_from_dict({"loss": ["arcface", {"label_smoothing": value}]})
        assert config.head.label_smoothing == 0.2
        assert config.loss.auxiliary == {}
    for entry in ("label_smoothing", {"Label_Smoothing": {}}):
        assert config_from_dict({"loss": ["arcface", entry]}).head.label_smoothing == 0.1
    with pytest.raises(InputError, match="no parameter 'smothing'"):
        config_from_dict({"loss": ["arcface", {"label_smoothing": {"smothing": 0.2}}]})
    with pytest.raises(InputError, match="both given"):
        make(noise_set, {"label_smoothing": 0.1}, head={"label_smoothing": 0.2})
    with pytest.raises(InputError, match=r"at most 0\.9"):
        make(noise_set, {"label_smoothing": 1.5})
    with pytest.raises(InputError, match=r"at most 0\.9"):
        make(noise_set, {"label_smoothing": {"smoothing": 1.5}})
    with pytest.raises(InputError, match="focal"):
        make(noise_set, {"Focal": {}}, head={"label_smoothing": 0.2})


def weights(trainer):
    mx.nd.waitall()
    return {k: p.data().asnumpy() for k, p in trainer.net._collect_params_with_prefix().items()}


def first_batch(trainer):
    return next(iter(trainer.loader.epoch(0)))


def test_the_step_is_that_of_the_weighted_sum(tiny, noise_set):
    entries = {"center": 0.5, "ring": {"weight": 2.0}, "focal": {"gamma": 1.0}}
    trainer, other = make(noise_set, entries), make(noise_set, {})
    batch = first_batch(trainer)
    loss = trainer.step(batch).asscalar()
    # By hand, with the losses' own definitions: centres begin at 0, R at the mean length.
    mx.random.seed(0)
    with mx.autograd.record():
        x = other.net(mx.nd.array(batch.images, dtype="uint8").astype("float32"))
        ce = other.head(x, batch.labels)
        length = x.norm(axis=1)
        ring = 0.5 * (length - length.detach().mean()).square()
        objective = (
            ((1 - mx.nd.exp(-ce)) * ce).mean()
            + 0.5 * (0.5 * x.square().sum(axis=1)).mean()
            + 2.0 * ring.mean()
        )
    objective.backward()
    for parameter in other.head.collect_params().values():
        parameter.grad().wait_to_read()
    other.optimizer_step.apply(0.05)
    assert loss == pytest.approx(objective.asscalar(), rel=1e-5)
    for (name, a), b in zip(weights(trainer).items(), weights(other).values()):
        # float32 sums in another order
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_trainer_trains_what_is_learned_without_decay(tiny, noise_set):
    trainer = make(noise_set, {"ring": 1.0, "lgm": 0.1, "coco": 0.1})
    names = {"ring/radius", "lgm/mean", "lgm/log_var", "coco/centers"}
    assert set(trainer.auxiliary.collect_params()) == names
    assert all(p.wd_mult == 0 for p in trainer.auxiliary.collect_params().values())
    trainer.step(first_batch(trainer))
    before = trainer.auxiliary.state_dict()
    trainer.step(first_batch(trainer))
    after = trainer.auxiliary.state_dict()
    for name in names:
        assert np.abs(after[name] - before[name]).max() > 0
    assert trainer.optimizer_step.state("auxiliary")["ring/radius#count"] == 2


def test_clipping_counts_their_gradients(tiny, noise_set):
    trainer = make(noise_set, {"coco": 1.0})
    trainer.step(first_batch(trainer))
    parts = [p.grad().asnumpy() for p in trainer.optimizer_step.parameters()]
    want = np.sqrt(sum((part.astype(np.float64) ** 2).sum() for part in parts))
    assert trainer.optimizer_step.gradient_norm().asscalar() == pytest.approx(want, rel=1e-5)
    assert len(parts) > len(
        OptimizerStep(trainer.net, trainer.head, config_from_dict({}).optimizer).parameters()
    )


def test_training_goes_on_from_a_checkpoint_to_the_bit(tiny, noise_set, tmp_path):
    entries = {"center": 0.1, "ring": 0.1, "ohem": {"keep": 0.5}, "git": 0.1}
    whole, first, second = (make(noise_set, entries) for _ in range(3))
    whole.fit()
    first.callbacks.append(StopAt(3))
    first.fit()
    save_state(tmp_path, first)
    load_state(tmp_path, second)
    second.fit()
    assert second.progress.step == 6
    for (name, a), b in zip(weights(whole).items(), weights(second).values()):
        np.testing.assert_array_equal(a, b, err_msg=name)
    for name, value in whole.auxiliary.state_dict().items():
        np.testing.assert_array_equal(second.auxiliary.state_dict()[name], value, err_msg=name)
    assert np.isfinite(whole.last_result.loss)


def test_loss_scaling_covers_them(tiny, noise_set):
    plain, scaled = (make(noise_set, {"ring": 1.0, "coco": 1.0}) for _ in range(2))
    scaled._loss_scale = LossScale(start=1024.0)
    for _ in range(3):
        for trainer in (plain, scaled):
            trainer.step(first_batch(trainer))
    for name, value in plain.auxiliary.state_dict().items():
        # A power of two changes no digit, but for sums that cancel.
        other = scaled.auxiliary.state_dict()[name]
        np.testing.assert_allclose(other, value, rtol=1e-4, atol=1e-6)


USS = [
    ("uniface", {}, {}),
    ("cosface", {"sample_rate": 0.5}, {"memory": "float16"}),
    *(
        pytest.param(loss, head, options, marks=pytest.mark.slow)
        for loss, head, options in (
            ("uniface", {"sample_rate": 0.5}, {"memory": "float16"}),
            ("cosface", {}, {}),
            ("uniface", {"mode": "replicated"}, {"weight": 0.5}),
        )
    ),
]


def state(trainer):
    """Return all that a step changes, as bytes."""
    mx.nd.waitall()
    found = {**weights(trainer), **trainer.head.row_arrays(), **trainer.auxiliary.state_dict()}
    found.update(trainer.optimizer_step.state("auxiliary"))
    return {name: np.asarray(value).tobytes() for name, value in found.items()}


@pytest.mark.parametrize(("loss", "head", "options"), USS)
@pytest.mark.parametrize("stop", [5, pytest.param(7, marks=pytest.mark.slow)])
def test_uss_begins_after_an_epoch_and_is_resumed_to_the_bit(
    tiny, noise_set, tmp_path, loss, head, options, stop
):
    def fresh():
        steps = {"steps": 9}  # an epoch is 6
        trainer = make(noise_set, {"uss": options}, head, loss={"name": loss}, train=steps)
        values = []
        trainer.callbacks.append(Values(values))
        return trainer, values

    whole, values = fresh()
    whole.fit()
    assert ["uss" in each for each in values] == [False] * 6 + [True] * 3
    assert np.isfinite([each["uss"] for each in values[6:]]).all()
    half, _ = fresh()
    half.callbacks.append(StopAt(stop))
    half.fit()
    assert half.auxiliary.members["uss"].started == (stop > 6)
    assert np.any(half.head.row_arrays()["last_embedding"])
    save_state(tmp_path, half)
    rest, more = fresh()
    load_state(tmp_path, rest)
    rest.fit()
    assert more == values[stop:]
    assert state(rest) == state(whole)
    bias = whole.auxiliary.state_dict()["uss/bias"]
    assert bias[0] > 1  # of six classes and a scale of 64
    assert whole.head.row_arrays()["last_embedding"].dtype == options.get("memory", "float32")


class Values:
    """Write down the values of the auxiliary losses of every step."""

    def __init__(self, values):
        self.values = values

    def result(self, trainer):
        self.values.append(dict(trainer.last_result.auxiliary))


def test_uss_begins_when_its_schedule_says(tiny, noise_set):
    trainer = make(noise_set, {"uss": {"schedule": {0: 0, 3: 0.5}}})
    values = []
    trainer.callbacks.append(Values(values))
    trainer.fit()
    assert ["uss" in each for each in values] == [False] * 3 + [True] * 3


@pytest.mark.parametrize("at", [2, 3])
def test_a_skipped_step_leaves_the_memory_and_the_start(tiny, noise_set, at):
    trainer = make(noise_set, {"uss": {"schedule": {0: 0, 2: 1}}})
    trainer._loss_scale = LossScale(start=1024.0)
    norm = trainer.optimizer_step.gradient_norm
    trainer.optimizer_step.gradient_norm = lambda: (
        mx.nd.array([np.inf]) if trainer.progress.step == at else norm()
    )
    seen = []
    for batch, _ in zip(trainer.loader.epoch(0), range(5)):
        trainer.step(batch)
        trainer.progress.step += 1
        memory = np.array(trainer.head.row_arrays()["last_embedding"])
        seen.append((memory.tobytes(), trainer.auxiliary.state_dict()["uss/bias"].tobytes()))
    assert [before == after for before, after in zip(seen, seen[1:])] == [
        step == at for step in range(1, 5)
    ]
    assert trainer.auxiliary.members["uss"].started


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"margin": -0.1}, "uss: margin=-0.1 is not allowed"),
        ({"memory": "float8"}, "uss: memory='float8'.*float32, float16"),
        ({"schedule": {5: 1}}, "loss.auxiliary.uss.schedule.*does not begin at 0"),
    ],
)
def test_mistakes_with_uss(tiny, noise_set, options, words):
    with pytest.raises(InputError, match=words):
        make(noise_set, {"uss": options})


def test_uss_knows_one_label_of_an_image():
    with pytest.raises(InputError, match="mixup, whose images have two labels each; uss"):
        config_from_dict({"loss": ["uniface", "uss"], "data": {"augment": ["mixup"]}})


def test_a_checkpoint_of_other_losses_is_refused(tiny, noise_set, tmp_path):
    trainer = make(noise_set, {"center": 0.1})
    trainer.step(first_batch(trainer))
    save_state(tmp_path, trainer)
    with pytest.raises(TrainingError, match="auxiliary losses"):
        load_state(tmp_path, make(noise_set, {}))
    with pytest.raises(InputError, match="center, this run has ring"):
        load_state(tmp_path, make(noise_set, {"ring": 0.1}))


def test_every_loss_trains_a_step(tiny, noise_set):
    from gluonface.loss.auxiliary import AUXILIARY

    # Those with a teacher: test_teacher.py.
    names = [n for n in AUXILIARY.list() if AUXILIARY.get(n).kind in ("embeddings", "losses")]
    trainer = make(noise_set, {name: {} for name in names})
    loss = trainer.step(first_batch(trainer)).asscalar()
    assert np.isfinite(loss)
    assert list(trainer.auxiliary.values()) == names
    assert all(np.isfinite(value).all() for value in weights(trainer).values())
