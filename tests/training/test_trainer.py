"""The loop: events, determinism, devices, precision, stops and errors."""

import dataclasses

import numpy as np
import pytest
from trainers import Watch, make

from gluonface._compat import mx
from gluonface.errors import InputError, TrainingError
from gluonface.training.callbacks import NanGuard, SaveCheckpoints
from gluonface.training.checkpoint.checkpoints import Checkpoints, load_state
from gluonface.training.devices import contexts
from gluonface.training.optimizer_step import OptimizerStep
from gluonface.training.trainer import EVENTS


def test_events_in_order(tiny, noise_set):
    watch = Watch()
    trainer = make(noise_set, [watch])
    trainer.fit()
    once = ["step_end", "result", "log", "step_end"]  # one step of two needs its numbers at once
    # 6 batches an epoch: 48 images, 8 each
    assert watch.events == [
        "fit_start",
        "epoch_start", *["step_end", "result", "result", "log", "step_end"] * 3, "epoch_end",
        "epoch_start", "step_end", "result", "result", "log", "step_end", "epoch_end",
        "fit_end",
    ]  # fmt: skip
    assert set(once) <= set(EVENTS)
    assert dataclasses.asdict(trainer.progress)["images"] == 64


def test_the_same_seed_gives_the_same_run_and_another_does_not(tiny, noise_set):
    losses = []
    for seed in (0, 0, 1):
        watch = Watch()
        make(noise_set, [watch], train={"steps": 8, "seed": seed}).fit()
        losses.append(watch.losses)
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_training_lowers_the_loss(tiny, noise_set):
    watch = Watch()
    trainer = make(
        noise_set, [watch], train={"steps": 60}, schedule={"name": "constant"}, data={"flip": False}
    )
    trainer.fit()
    assert np.mean(watch.losses[-5:]) < 0.5 * np.mean(watch.losses[:5])
    assert trainer.last_log.accuracy > 0.5
    assert 0 <= trainer.last_log.data_wait <= 1


@pytest.mark.parametrize("ctx", ["cpu", "cpu0,cpu1"])
def test_stop_save_and_go_on_to_the_last_bit(tiny, noise_set, tmp_path, ctx):
    """Devices of one process have running statistics of their own, which are kept too."""
    whole = Watch()
    trainer = make(noise_set, [whole], train={"steps": 8, "ctx": ctx})
    trainer.fit()
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    first, second = Watch(stop_at=3), Watch()
    stopped = make(
        noise_set, [first, SaveCheckpoints(checkpoints, 100)], train={"steps": 8, "ctx": ctx}
    )
    stopped.fit()
    assert stopped.stop_reason == "enough"
    assert stopped.progress.step == 3
    resumed = make(noise_set, [second], train={"steps": 8, "ctx": ctx, "seed": 0})
    load_state(checkpoints.path("last"), resumed)
    resumed.fit()
    assert first.losses + second.losses == whole.losses
    for name, parameter in trainer.net._collect_params_with_prefix().items():
        other = resumed.net._collect_params_with_prefix()[name]
        for context in trainer.ctx:
            np.testing.assert_array_equal(
                parameter.data(context).asnumpy(), other.data(context).asnumpy(), err_msg=name
            )


def test_no_step_reads_weights_before_their_update(tiny, noise_set, monkeypatch):
    """MXNet computes late; whoever reads memory behind its back sees a slow update too late."""
    losses, apply = [], OptimizerStep.apply
    for slow in (False, True):

        def delayed(self, *args, slow=slow, **kwargs):
            if slow:
                big = mx.nd.ones((900, 900))
                for _ in range(3):
                    big = mx.nd.dot(big, big) * 1e-3
                late = big[0, 0].reshape((1, 1)) * 0
                for parameter in self.parameters():
                    if len(parameter.shape) == 2:
                        parameter.grad()[:] = mx.nd.broadcast_add(parameter.grad(), late)
            return apply(self, *args, **kwargs)

        monkeypatch.setattr(OptimizerStep, "apply", delayed)
        watch = Watch()
        make(noise_set, [watch], optimizer={"clip_norm": 5.0}).fit()
        losses.append(watch.losses)
    assert losses[0] == losses[1]


class OneBatch:
    """The same images every step."""

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return 4

    def epoch(self, epoch, start=0):
        return iter([self.batch] * (4 - start))


def test_two_devices_compute_the_mean_over_the_whole_batch(tiny, noise_set):
    """Without BatchNorm and dropout, whose work does depend on the split."""
    results = []
    for ctx in ("cpu", "cpu0,cpu1"):
        trainer = make(
            noise_set,
            train={"steps": 4, "ctx": ctx},
            optimizer={"name": "sgd", "lr": 0.01, "clip_norm": 1.0},
            data={"batch_size": 7},  # 4 images here, 3 there
        )
        trainer.net.features[1]._kwargs["use_global_stats"] = True
        trainer.net.features[3]._rate = 0.0
        watch = Watch()
        trainer.callbacks.append(watch)
        trainer.loader = OneBatch(next(trainer.loader.epoch(0)))
        trainer.fit()
        weights = [p.data(mx.cpu(0)).asnumpy() for p in trainer.optimizer_step.parameters()]
        results.append((watch.losses, weights))
    # The sums of two halves round differently from the sum of all.
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for one, two in zip(results[0][1], results[1][1]):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


def test_nan_stops_with_step_rate_and_logit_and_spares_the_checkpoint(tiny, noise_set, tmp_path):
    class Poison:
        def step_end(self, trainer):
            if trainer.progress.step == 5:
                weight = trainer.net.features[0].weight
                weight.set_data(weight.data() * np.nan)

    checkpoints = Checkpoints(tmp_path / "checkpoints")
    trainer = make(noise_set, [NanGuard(), SaveCheckpoints(checkpoints, 4), Poison()])
    with pytest.raises(TrainingError, match=r"nan at step 6 \(learning rate .*largest logit") as e:
        trainer.fit()
    assert "0.00" in str(e.value)
    assert checkpoints.path("last").name == "step-00000004"
    fresh = make(noise_set)
    load_state(checkpoints.path("last"), fresh)
    fresh.require_finite_weights()


def test_weights_that_are_not_finite_are_never_saved(tiny, noise_set, tmp_path):
    """An update can break the weights though the loss before it was fine."""

    class Poison:
        def step_end(self, trainer):
            if trainer.progress.step == 8:
                bias = trainer.net.features[4].bias
                bias.set_data(bias.data() * np.inf)

    checkpoints = Checkpoints(tmp_path / "checkpoints")
    trainer = make(noise_set, [NanGuard(), Poison(), SaveCheckpoints(checkpoints, 4)])
    with pytest.raises(TrainingError, match="weights are not finite after step 8"):
        trainer.fit()
    assert checkpoints.path("last").name == "step-00000004"


def test_margin_warm_up_reaches_the_head(tiny, noise_set):
    strengths = []

    class Look:
        def step_end(self, trainer):
            strengths.append(trainer.head.margin.strength)

    make(noise_set, [Look()], margin_warmup={"start": 2, "end": 6}).fit()
    assert strengths == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]


def test_checkpoint_of_another_model_or_class_count(tiny, noise_set, tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    make(noise_set, [SaveCheckpoints(checkpoints, 4)]).fit()
    other = make(noise_set, model={"embedding_size": 4})
    with pytest.raises(TrainingError, match="the model differs"):
        load_state(checkpoints.path(), other)
    other = make(noise_set)
    other.head.num_classes = 7
    with pytest.raises(TrainingError, match="6 classes, the data has 7"):
        load_state(checkpoints.path(), other)


def test_contexts():
    assert contexts("cpu") == [mx.cpu(0)]
    assert contexts("cpu0, cpu1") == [mx.cpu(0), mx.cpu(1)]
    for text, words in (("tpu", "no device"), ("cpu0,cpu0", "twice"), ("gpu7", "MXNet sees")):
        with pytest.raises(InputError, match=words):
            contexts(text)


def test_more_weights_than_mxnet_checks_at_a_time(tiny, noise_set):
    """Its kernel for many arrays writes past its end at more than 200 and crashes the process."""
    trainer = make(noise_set)
    arrays = mx.gluon.ParameterDict()
    for number in range(350):
        arrays.get(f"w{number}", shape=(2,)).initialize(mx.init.One())
    last = arrays.get("w349")
    trainer.optimizer_step.parameters = lambda: list(arrays.values())
    trainer.require_finite_weights()
    last.set_data(mx.nd.array([1, np.nan]))
    with pytest.raises(TrainingError, match="not finite"):
        trainer.require_finite_weights()


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adamw"])
def test_sampled_heads_are_clipped_accumulated_and_resumed(tiny, noise_set, tmp_path, optimizer):
    sections = {
        "head": {"sample_rate": 0.5, "momentum_mode": "frozen"},
        "optimizer": {"name": optimizer, "lr": 0.01, "clip_norm": 0.5, "max_skips": 1},
        "train": {"steps": 6, "accumulate": 2},
        "data": {"batch_size": 16},
    }
    runs = []
    for stop in (None, 3):
        watch = Watch(stop_at=stop)
        checkpoints = Checkpoints(tmp_path / str(stop), keep=2)
        trainer = make(noise_set, [watch, SaveCheckpoints(checkpoints, 100)], **sections)
        trainer.fit()
        if stop:
            trainer = make(noise_set, [watch], **sections)
            load_state(checkpoints.path("last"), trainer)
            watch.stop_at = None
            trainer.fit()
        runs.append((watch.losses, trainer.head.get_centers(), trainer.progress))
    assert runs[0][0] == runs[1][0]
    np.testing.assert_array_equal(runs[0][1], runs[1][1])
    assert (runs[1][2].step, runs[1][2].images) == (6, 96)
    # 48 images are 3 steps of 16; the seventh would begin the third epoch
    assert (runs[1][2].epoch, runs[1][2].batch) == (1, 3)


def test_head_of_gluon_and_head_of_its_own_take_over_from_each_other(tiny, noise_set, tmp_path):
    """The rate may change between a checkpoint and the run that goes on from it."""
    sections = {"optimizer": {"name": "sgd", "lr": 0.05}}
    for number, (first, second) in enumerate(
        [({}, {"sample_rate": 0.5}), ({"centers": "host"}, {})]
    ):
        checkpoints = Checkpoints(tmp_path / str(number))
        stopped = make(
            noise_set, [Watch(stop_at=4), SaveCheckpoints(checkpoints, 100)], head=first, **sections
        )
        stopped.fit()
        other = make(noise_set, head=second, **sections)
        load_state(checkpoints.path("last"), other)
        np.testing.assert_array_equal(other.head.get_centers(), stopped.head.get_centers())
        other.fit()
        if number:  # all classes, so the same run as one that was not stopped
            whole = make(noise_set, **sections)
            whole.fit()
            # Two programs for one formula round differently.
            np.testing.assert_allclose(
                other.head.get_centers(), whole.head.get_centers(), rtol=0, atol=1e-5
            )
