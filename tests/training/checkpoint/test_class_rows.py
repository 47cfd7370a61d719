"""What heads and auxiliary losses learn of the batches: resumed to the bit, undone by a skip."""

import csv

import numpy as np
import pytest
from training_fixtures import StopAt

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.training.build import build
from gluonface.training.callbacks import ConsoleLog, CsvFiles, TensorBoard
from gluonface.training.checkpoint.checkpoints import load_state, save_state
from gluonface.training.config.config import config_from_dict
from gluonface.training.precision import LossScale

STATEFUL = ("curricularface", "adacos", "adaface", "sphereface")


def make(noise_set, loss, auxiliary=None, accumulate=1, **head):
    settings = {
        "model": {"name": "tiny"},
        "loss": {"name": loss, "auxiliary": auxiliary or {}},
        "head": head,
        "data": {"path": noise_set.data, "batch_size": 8},
        "optimizer": {"name": "sgd", "lr": 0.05, "clip_norm": 5.0},
        "train": {"steps": 6, "accumulate": accumulate},
        "log": {"every": 2},
    }
    return build(config_from_dict(settings))


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


def test_the_figures_of_a_step_are_of_all_its_parts(tiny, noise_set):
    trainer = make(noise_set, "arcface", {"triplet": 0.1}, accumulate=2)
    batches = trainer.loader.epoch(0)
    parts, original = [], trainer._forward_backward

    def part(*arguments):
        loss = original(*arguments)
        parts.append((trainer.head.stats(), trainer.auxiliary.values()))
        return loss

    trainer._forward_backward = part
    trainer.step(next(batches), next(batches))
    trainer.collect()
    result, (first, second) = trainer.last_result, parts
    for which, found in enumerate((result.stats, result.auxiliary)):
        assert set(found) == set(first[which])
        for name, value in found.items():
            pair = first[which][name], second[which][name]
            assert name == "accuracy" or pair[0] != pair[1]
            assert value == (max(pair) if name == "max_logit" else sum(pair) / 2)


def test_filtering_is_a_setting_of_the_head(tiny, noise_set):
    head = make(noise_set, "arcface", filter_above=0.3).head
    assert head.filter_above == 0.3
    assert make(noise_set, "arcface").head.filter_above is None
    with pytest.raises(InputError, match=r"head\.filter_above.*at most 1"):
        make(noise_set, "arcface", filter_above=1.5)
    with pytest.raises(InputError, match="softmax does not compute cosines"):
        make(noise_set, "softmax", filter_above=0.3)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def scalars(folder):
    """Return the values by tag of TensorBoard's event files, without TensorBoard."""
    from tensorboardX.proto.event_pb2 import Event

    values = {}
    for path in sorted(folder.glob("**/events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):  # length (8), its checksum (4), an event, its checksum (4)
            length = int.from_bytes(data[at : at + 8], "little")
            for value in Event.FromString(data[at + 12 : at + 12 + length]).summary.value:
                values.setdefault(value.tag, []).append(value.simple_value)
            at += length + 16
    return values


def test_each_auxiliary_loss_is_logged(tiny, noise_set, tmp_path, caplog):
    entries = {"center": 0.1, "focal": {}, "ring": 0.5}
    results = []

    class Watch:
        def result(self, trainer):
            results.append(trainer.last_result.auxiliary)

    trainer = make(noise_set, "arcface", entries)
    trainer.callbacks += [Watch(), ConsoleLog(), CsvFiles(tmp_path), TensorBoard(tmp_path)]
    with caplog.at_level("INFO"):
        trainer.fit()
    table = rows(tmp_path / "metrics.csv")
    assert [row["step"] for row in table] == ["2", "4", "6"]
    events = scalars(tmp_path)
    for name in entries:
        values = np.array([result[name] for result in results])
        assert np.isfinite(values).all()
        assert len(set(values)) == 6
        logged = [float(row[f"auxiliary_{name}"]) for row in table]
        np.testing.assert_allclose(logged, values.reshape(3, 2).mean(axis=1), rtol=1e-12)
        written = events[f"train/auxiliary/{name}"]
        np.testing.assert_allclose(written, logged, rtol=1e-6)  # float32
        assert f"{name} {logged[-1]:.4f}" in caplog.messages[-1]
    # The loss is what was minimised: focal's in place of the head's, the others by weight.
    for row in table:
        total = float(row["auxiliary_focal"]) + 0.1 * float(row["auxiliary_center"])
        total += 0.5 * float(row["auxiliary_ring"])
        assert float(row["loss"]) == pytest.approx(total, rel=1e-5)


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
