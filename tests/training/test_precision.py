"""Reduced precision of the backbone, and the loss scale."""

import numpy as np
import pytest
from trainers import Watch, make

from gluonface.errors import InputError
from gluonface.training.precision import LossScale, _cpu_has_bfloat16


@pytest.mark.skipif(not _cpu_has_bfloat16(), reason="this CPU has no avx512_bf16")
def test_bfloat16_follows_float32(tiny, noise_set):
    losses = {}
    for dtype in ("float32", "bfloat16"):
        watch = Watch()
        trainer = make(noise_set, [watch], train={"steps": 20, "dtype": dtype})
        trainer.fit()
        losses[dtype] = np.array(watch.losses)
        assert {p.data().dtype for p in trainer.optimizer_step.parameters()} == {np.float32}
    assert (losses["float32"] != losses["bfloat16"]).any()
    # bfloat16 keeps 8 bits; 20 steps of a small network stay close
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.1)


def test_float16_needs_a_gpu(tiny, noise_set):
    with pytest.raises(InputError, match="float16' needs GPUs"):
        make(noise_set, train={"steps": 1, "dtype": "float16"})


def test_loss_scale():
    scale = LossScale(start=4.0, growth_steps=2)
    values = []
    for overflow in (False, False, True, False, True, True, True):
        scale.update(overflow)
        values.append(scale.value)
    assert values == [4, 8, 4, 4, 2, 1, 1]
    other = LossScale()
    other.load_state_dict(scale.state_dict())
    assert vars(other)["value"] == 1
