import itertools
import math
import pathlib

import numpy as np
import pytest
import yaml
from trainers import Watch, make
from training_fixtures import StopAt

from gluonface.errors import InputError, TrainingError
from gluonface.training.build import build
from gluonface.training.checkpoint.checkpoints import load_state, save_state, updated_itself
from gluonface.training.config.config import (
    MarginWarmupConfig,
    ScheduleConfig,
    config_from_dict,
)
from gluonface.training.config.steps import read_changes
from gluonface.training.schedules import Piecewise, learning_rate, margin_strength, steps_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOTAL, WARMUP, LR = 50, 10, 0.2


def expected(name, step, final=0.01):
    """Closed forms: linear for WARMUP steps, then the shape over the rest."""
    if step < WARMUP:
        return LR * step / (WARMUP - 1)
    share = (step - WARMUP) / (TOTAL - WARMUP - 1)
    return {
        "cosine": final + (LR - final) * (1 + math.cos(math.pi * share)) / 2,
        "poly": final + (LR - final) * (1 - share) ** 2,
        "constant": LR,
        "step": LR * 0.1 ** sum(step >= milestone for milestone in (20, 40)),
    }[name]


@pytest.mark.parametrize("name", ["cosine", "poly", "constant", "step"])
def test_learning_rate(name):
    config = ScheduleConfig(name=name, warmup_steps=WARMUP, final_lr=0.01, milestones=[20, 0.8])
    rate = learning_rate(config, LR, TOTAL)
    order = [*range(TOTAL), *reversed(range(TOTAL))]  # a resumed run asks in any order
    for step in order:
        assert rate(step) == pytest.approx(expected(name, step), abs=1e-12), step


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0, 1, 0.5])
def test_very_short_runs(total, warmup):
    if steps_of(warmup, total) >= total:
        with pytest.raises(InputError, match="warmup_steps"):
            learning_rate(ScheduleConfig(warmup_steps=warmup), LR, total)
        return
    rate = learning_rate(ScheduleConfig(warmup_steps=warmup), LR, total)
    assert all(0 <= rate(step) <= LR for step in range(total))


def test_margin_strength():
    strength = margin_strength(MarginWarmupConfig(start=0.1, end=0.4), 100)
    assert [strength(s) for s in (0, 10, 25, 40, 99)] == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_gluon_faces_softmax_first():
    strength = margin_strength(MarginWarmupConfig(start=35000, end=35000), 86000)
    assert (strength(34999), strength(35000)) == (0.0, 1.0)


def test_no_warm_up_is_the_full_margin():
    assert margin_strength(MarginWarmupConfig(), 10)(0) == 1.0


def test_end_before_start():
    with pytest.raises(InputError, match="before"):
        margin_strength(MarginWarmupConfig(start=10, end=5), 100)


def piecewise(written, total=100, steps_per_epoch=20):
    return Piecewise(read_changes(written, "x", lambda value, _: value), total, steps_per_epoch)


def test_a_value_changes_at_its_steps():
    value = piecewise({0: "a", 10: "b", "0.5": "c", "3 epochs": "d"})
    order = [*range(100), *reversed(range(100))]  # a resumed run asks in any order
    assert [value(step) for step in order] == [
        "a" if step < 10 else "b" if step < 50 else "c" if step < 60 else "d" for step in order
    ]
    assert not value.needs_score
    assert value.values == ["a", "b", "c", "d"]


def test_a_value_waits_for_a_score_and_does_not_go_back():
    value = piecewise({0: 1, "score 0.2": 2, 30: 3, "score 0.35": 4})
    scores = {3: 0.19, 7: 0.2, 8: 0.1, 20: 0.5, 40: 0.34, 41: 0.35, 42: 0.0}
    found = []
    for step in range(50):
        found.append(value(step))
        if value.needs_score:
            value.observe(step, scores.get(step, 0.0))
    # The second score counts from step 30 on: a change waits for those before it.
    assert found == [1] * 8 + [2] * 22 + [3] * 12 + [4] * 8
    assert value.reached == [8, 42]
    again = piecewise({0: 1, "score 0.2": 2, 30: 3, "score 0.35": 4})
    again.reached = [8, 42]
    assert [again(step) for step in range(50)] == found


# --- in a run -----------------------------------------------------------------------------------

SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9}


def state(trainer):
    """Return all that a step changes, as bytes."""
    weights = trainer.net._collect_params_with_prefix()
    found = {name: p.data().asnumpy().tobytes() for name, p in weights.items()}
    rows = trainer.head.row_arrays()
    found.update({f"head {name}": np.array(a).tobytes() for name, a in rows.items()})
    return found


def run(noise_set, stop=None, folder=None, optimizer=SGD, updates_itself=False, **sections):
    """Return a trainer after its run, and the losses; from a checkpoint if there is one."""
    watch = Watch(stop)
    trainer = make(noise_set, [watch], optimizer=optimizer, **sections)
    if folder is not None:
        config = trainer_config(noise_set, optimizer, sections)
        trainer = build(config, updates_itself=updated_itself(folder))
        trainer.callbacks.append(watch)
        load_state(folder, trainer)
    trainer.fit()
    return trainer, watch.losses


def trainer_config(noise_set, optimizer, sections):
    settings = {
        "model": {"name": "tiny"},
        "loss": {"name": "arcface", "margin": 0.3, "scale": 16.0, **sections.get("loss", {})},
        "data": {"path": noise_set.data, "batch_size": 8},
        "optimizer": optimizer,
        "train": {"steps": 8},
        "head": sections.get("head", {}),
    }
    return config_from_dict(settings)


@pytest.mark.parametrize(
    ("mode", "sampler"),
    [
        ("catchup", "hash"),
        pytest.param("frozen", "exact", marks=pytest.mark.slow),
        pytest.param("reset", "hash", marks=pytest.mark.slow),
    ],
)
def test_a_change_of_the_rate_is_a_stop_and_a_run_at_the_other_rate(
    tiny, noise_set, tmp_path, mode, sampler
):
    head = {"momentum_mode": mode, "sampler": sampler}
    whole, losses = run(noise_set, head={**head, "sample_rate": {0: 0.5, 4: 1.0}})
    assert whole.head.sample_rate == 1.0
    first, before = run(noise_set, stop=4, head={**head, "sample_rate": 0.5})
    save_state(tmp_path, first)
    second, after = run(noise_set, folder=tmp_path, head={**head, "sample_rate": 1.0})
    assert before + after == losses
    assert second.head.updates_itself
    assert state(second) == state(whole)
    assert run(noise_set, head={**head, "sample_rate": 0.5})[1][4:] != losses[4:]


@pytest.mark.parametrize("stop", [pytest.param(3, marks=pytest.mark.slow), 4, 5])
def test_resume_around_a_change_is_exact(tiny, noise_set, tmp_path, stop):
    sections = {
        "head": {"sample_rate": {0: 0.5, 4: 1.0, 6: 0.7}},
        "loss": {"changes": {4: {"name": "curricularface", "margin": 0.4, "scale": 16.0}}},
    }
    whole, losses = run(noise_set, **sections)
    assert whole.head.margin.name == "curricularface"
    half, before = run(noise_set, stop=stop, **sections)
    assert half.head.margin.name == ("arcface" if stop < 5 else "curricularface")
    save_state(tmp_path, half)
    rest, after = run(noise_set, folder=tmp_path, **sections)
    assert before + after == losses
    assert state(rest) == state(whole)
    assert rest.head.margin.state == whole.head.margin.state


STAGES = {
    "head": {"sample_rate": {0: 0.5, 5: 1.0}},
    "loss": {
        "name": "cosface",
        "margin": 0.3,
        "changes": {
            2: {"name": "lvface", "margin": 0.3, "bank_margin": 0.2, "scale": 16.0},
            5: {"name": "lvface", "margin": 0.3, "bank_margin": 0.2, "scale": 16.0,
                "bank": "frozen"},
        },
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "stop", [3, *(pytest.param(stop, marks=pytest.mark.slow) for stop in (2, 6))]
)
def test_resume_in_the_stages_of_lvface_is_exact(tiny, noise_set, tmp_path, stop):
    whole, losses = run(noise_set, **STAGES)
    assert (whole.head.margin.bank, whole.head.sample_rate) == ("frozen", 1.0)
    half, before = run(noise_set, stop=stop, **STAGES)
    assert np.any(half.head.row_arrays()["bank"]) == (stop > 2)
    save_state(tmp_path, half)
    rest, after = run(noise_set, folder=tmp_path, **STAGES)
    assert before + after == losses
    assert state(rest) == state(whole)
    assert "head bank" in state(whole)


def test_the_stages_of_lvface_in_the_docs(tiny, noise_set):
    docs = (ROOT / "docs/training.rst").read_text(encoding="utf-8")
    block = docs.split(".. _lvface-stages:")[1].split(".. code-block:: yaml\n\n")[1]
    lines = itertools.takewhile(lambda line: line.startswith(" "), block.split("\n"))
    # So few steps do not come to 0.35.
    tree = yaml.safe_load("\n".join(lines).replace("score 0.2", "score 0.1").replace("0.35", "0.2"))
    trainer = make(noise_set, optimizer=SGD, train={"steps": 30}, **tree)
    trainer.fit()
    second, third = trainer._margin.reached  # both scores are reached, one after the other
    assert 1 < second < third < 29
    assert trainer._rate.reached == [second, third]
    assert (trainer.head.margin.name, trainer.head.margin.bank) == ("lvface", "frozen")
    assert trainer.head.sample_rate == 1.0


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"head": {"label_smoothing": 0.1}}, "label_smoothing=0.1 is not allowed with lvface"),
        ({"data": {"augment": ["cutmix"]}}, "data.augment has cutmix.*lvface keeps the"),
        ({"loss": {"changes": {3: {"name": "lvface", "form": "own"}}}}, "form='own'.*bank, shared"),
        ({"loss": {"changes": {3: {"name": "lvface", "bank": 1}}}}, "bank=1.*moving, frozen"),
    ],
)
def test_mistakes_with_lvface_are_named_before_training(tiny, noise_set, sections, words):
    with pytest.raises(InputError, match=words):
        make(noise_set, **{"loss": {"changes": {3: "lvface"}}, **sections})


def test_a_score_changes_the_rate_and_is_kept(tiny, noise_set, tmp_path):
    sections = {"head": {"sample_rate": {0: 0.5, "score 0.2": 0.9, "score 0.9": 1.0}}}
    steps = {"train": {"steps": 30}}
    watch = Watch()
    whole = make(noise_set, [watch], optimizer=SGD, **sections, **steps)
    whole.fit()
    (reached,) = whole._rate.reached
    assert 1 < reached < 29
    assert whole.head.sample_rate == 0.9
    half = make(noise_set, [StopAt(reached + 1)], optimizer=SGD, **sections, **steps)
    half.fit()
    save_state(tmp_path, half)
    rest = make(noise_set, [after := Watch()], optimizer=SGD, **sections, **steps)
    load_state(tmp_path, rest)
    assert rest._rate.reached == [reached]
    rest.fit()
    assert after.losses == watch.losses[reached + 1 :]
    assert state(rest) == state(whole)


def test_changes_that_need_other_arrays_are_refused(tiny, noise_set, tmp_path):
    for name, words in (
        ("subcenter_arcface", "centres for each class: 1 and 3"),
        ("softmax", "a bias for each class: False and True"),
        ("adam_softmax", "a learned margin for each class"),
    ):
        with pytest.raises(InputError, match=words):
            make(noise_set, loss={"changes": {4: name}})
    trainer = make(noise_set)
    with pytest.raises(InputError, match="this head has Gluon parameters"):
        trainer.head.sample_rate = 0.5
    with pytest.raises(InputError, match="no parameter 'margn'"):
        make(noise_set, loss={"changes": {4: {"name": "cosface", "margn": 1}}})
    changed = make(noise_set, [StopAt(5)], loss={"changes": {4: "cosface"}})
    changed.fit()
    save_state(tmp_path, changed)
    with pytest.raises(TrainingError, match="its loss is cosface, this run's arcface"):
        load_state(tmp_path, make(noise_set))
