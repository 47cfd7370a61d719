"""What heads and auxiliary losses learn of the batches: resumed to the bit, undone by a skip."""

import numpy as np
import pytest
from state_cases import make, rows
from training_fixtures import StopAt

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.training.callbacks import CsvFiles
from gluonface.training.checkpoint.checkpoints import load_state, save_state
from gluonface.training.precision import LossScale

STATEFUL = ("curricularface", "adacos", "adaface", "sphereface", "elastic_cosface")


def everything(trainer):
    """Return all that a step changes, as {name: bytes}."""
    mx.nd.waitall()
    found = {k: p.data().asnumpy() for k, p in trainer.net._collect_params_with_prefix().items()}
    found.update({f"head/{k}": v for k, v in trainer.head.state_dict().items()})
    found["centers"] = trainer.head.get_centers()
    if trainer.auxiliary is not None:
        found.update(trainer.auxiliary.state_dict())
    return {name: np.asarray(value).tobytes() for name, value in found.items()}


def learnt(trainer):
    """Return the head's state and that of the auxiliary losses, as {name: bytes}."""
    names = trainer.auxiliary.state_dict() if trainer.auxiliary is not None else ()
    found = everything(trainer)
    return {k: v for k, v in found.items() if k.startswith("head/state_") or k in names}


@pytest.mark.parametrize("loss", STATEFUL)
def test_six_steps_are_three_and_a_resume_and_three(tiny, noise_set, tmp_path, loss):
    whole, first, second = (make(noise_set, loss) for _ in range(3))
    fresh = learnt(whole)
    assert fresh  # it is one with state
    whole.fit()
    first.callbacks.append(StopAt(3))
    first.fit()
    save_state(tmp_path, first)
    load_state(tmp_path, second)
    assert everything(second) == everything(first)
    second.fit()
    assert second.progress.step == 6
    assert everything(second) == everything(whole)
    assert not set(learnt(whole).values()) & set(fresh.values())  # every part of it has moved
    assert learnt(whole) != learnt(first)


@pytest.mark.parametrize("mode", ["sharded", "replicated"])
@pytest.mark.parametrize("loss", ["uniface", "bce", "sphereface2"])
def test_biases_of_binary_losses_are_resumed(tiny, noise_set, tmp_path, loss, mode):
    """By the head's own optimizer and by a trainer; with momentum and clipping."""

    def state(trainer):
        rows = {**trainer.head.row_arrays(), **trainer.optimizer_step.head_rows()}
        found = {name: np.asarray(value).tobytes() for name, value in rows.items()}
        return {**everything(trainer), **trainer.optimizer_step.head_shared(), **found}

    whole, first, second = (make(noise_set, loss, mode=mode) for _ in range(3))
    assert whole.head.updates_itself == (mode == "sharded")
    fresh = state(whole)
    whole.fit()
    first.callbacks.append(StopAt(3))
    first.fit()
    save_state(tmp_path, first)
    load_state(tmp_path, second)
    assert state(second) == state(first)
    second.fit()
    assert state(second) == state(whole)
    shared = loss != "bce"
    momentum = "head/shared_bias.momentum" if mode == "sharded" else "shared_bias.momentum"
    for name in ("head/shared_bias", momentum) if shared else ("bias", "bias.momentum"):
        assert state(whole)[name] != fresh.get(name)


def test_clean_reads_the_centres_of_a_checkpoint(tiny, noise_set, tmp_path):
    from gluonface.data.tools.stored_embeddings import load_centers

    trainer = make(noise_set, "subcenter_arcface")
    save_state(tmp_path, trainer)
    centers = trainer.head.get_centers()
    assert centers.shape[1] == 3
    np.testing.assert_array_equal(load_centers(tmp_path), centers)


class Overflow:
    """Gradients that overflow in one step."""

    def __init__(self, trainer, step):
        self.trainer, self.at = trainer, step
        self.norm = trainer.optimizer_step.gradient_norm
        trainer.optimizer_step.gradient_norm = self

    def __call__(self):
        here = self.trainer.progress.step == self.at
        return mx.nd.array([np.inf]) if here else self.norm()


@pytest.mark.parametrize("loss", STATEFUL)
@pytest.mark.parametrize("at", [0, 2])
def test_a_skipped_step_teaches_nothing(tiny, noise_set, loss, at):
    trainer = make(noise_set, loss, {"center": 0.1, "git": 0.1, "ring": 0.1})
    trainer._loss_scale = LossScale(start=1024.0)
    Overflow(trainer, at)
    seen = [learnt(trainer)]
    for batch, _ in zip(trainer.loader.epoch(0), range(4)):
        trainer.step(batch)
        trainer.progress.step += 1
        seen.append(learnt(trainer))
    same = [before == after for before, after in zip(seen, seen[1:])]
    assert same == [step == at for step in range(4)]
    assert trainer._loss_scale.value == 512.0


@pytest.mark.parametrize("mode", ["sharded", "replicated"])
@pytest.mark.parametrize("sample_rate", [1.0, 0.5])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_skipped_step_leaves_the_bank(tiny, noise_set, sample_rate, accumulate, mode):
    if mode == "replicated" and sample_rate < 1:
        return  # not allowed
    trainer = make(noise_set, "lvface", sample_rate=sample_rate, accumulate=accumulate, mode=mode)
    trainer._loss_scale = LossScale(start=1024.0)
    Overflow(trainer, 1)
    bank, batches = trainer.head.banks["bank"], trainer.loader.epoch(0)
    seen = [np.array(bank.rows())]
    for _ in range(3):
        trainer.step(*(next(batches) for _ in range(accumulate)))
        trainer.progress.step += 1
        seen.append(np.array(bank.rows()))
    same = [np.array_equal(before, after) for before, after in zip(seen, seen[1:])]
    assert same == [False, True, False]


@pytest.mark.parametrize("at", [0, 1])
def test_a_skipped_step_of_several_parts_teaches_nothing(tiny, noise_set, at):
    auxiliary = {"center": 0.1, "git": 0.1, "ring": 0.1}
    trainer = make(noise_set, "curricularface", auxiliary, accumulate=2)
    trainer._loss_scale = LossScale(start=1024.0)
    Overflow(trainer, at)
    seen, batches = [learnt(trainer)], trainer.loader.epoch(0)
    for _ in range(3):
        trainer.step(next(batches), next(batches))
        trainer.progress.step += 1
        seen.append(learnt(trainer))
    same = [before == after for before, after in zip(seen, seen[1:])]
    assert same == [step == at for step in range(3)]


def test_filtering_is_a_setting_of_the_head(tiny, noise_set):
    head = make(noise_set, "arcface", filter_above=0.3).head
    assert head.filter_above == 0.3
    assert make(noise_set, "arcface").head.filter_above is None
    with pytest.raises(InputError, match=r"head\.filter_above.*at most 1"):
        make(noise_set, "arcface", filter_above=1.5)
    with pytest.raises(InputError, match="softmax does not compute cosines"):
        make(noise_set, "softmax", filter_above=0.3)


def test_the_log_of_a_resumed_run_is_that_of_the_whole(tiny, noise_set, tmp_path):
    entries = {"center": 0.1, "ring": 0.1}
    runs = [make(noise_set, "arcface", entries) for _ in range(3)]
    whole, first, second = runs
    for trainer, name in zip(runs, ("whole", "part", "part")):
        (tmp_path / name).mkdir(exist_ok=True)
        trainer.callbacks.append(CsvFiles(tmp_path / name))
    whole.fit()
    first.callbacks.append(StopAt(3))  # between two log lines: half a mean is in the checkpoint
    first.fit()
    (tmp_path / "state").mkdir()
    save_state(tmp_path / "state", first)
    load_state(tmp_path / "state", second)
    second.fit()
    tables = [rows(tmp_path / name / "metrics.csv") for name in ("whole", "part")]
    for name in ("step", "loss", "auxiliary_center", "auxiliary_ring"):
        assert [row[name] for row in tables[0]] == [row[name] for row in tables[1]]
