import math

import pytest

from gluonface.errors import InputError
from gluonface.training.config.config import MarginWarmupConfig, ScheduleConfig
from gluonface.training.schedules import learning_rate, margin_strength, steps_of

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
