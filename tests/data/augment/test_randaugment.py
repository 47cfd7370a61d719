"""RandAugment."""

import numpy as np
import pytest
from augment_images import SHAPE, drawn_for, rough, run, smooth
from reference import augment as twin

from gluonface.data.augment import (
    AUGMENTATIONS,
)
from gluonface.data.augment.randaugment import FACE_OPERATIONS, OPERATIONS


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("m", [-1.0, -0.3, 0.3, 0.77, 1.0])
def test_rand_operation_equals_twin(name, m):
    function, signed = OPERATIONS[name]
    if m < 0 and not signed:
        pytest.skip("this strength has no sign")
    moves = name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
    image = smooth(3) if moves else rough(3)
    wanted = twin.rand_operation(name, image, m)
    difference = np.abs(function(image.copy(), m).astype(np.int64) - wanted)
    if moves:
        # OpenCV samples at 1/32 of a pixel: off by up to 1/64 of a pixel's slope, which is steep
        # at the grey border and in noise.
        assert difference.max() <= 8
        assert difference.mean() < 0.6
    elif name in ("color", "contrast", "brightness", "sharpness"):
        assert difference.max() <= 1
        # A stretched image shows the rounding of its parts: sharpness rounds twice.
        assert (difference > 0).mean() < 0.5
    else:
        assert difference.max() == 0


@pytest.mark.parametrize("ops", ["face", "all", ["rotate", "color"]])
def test_rand_augment_draws_as_the_twin(ops):
    op = AUGMENTATIONS.get("rand_augment")(n=3, m=12, ops=ops)
    names = FACE_OPERATIONS if ops == "face" else tuple(OPERATIONS) if ops == "all" else ops
    signed = {name for name, (_, has_sign) in OPERATIONS.items() if has_sign}
    functions = {entry[0]: name for name, entry in OPERATIONS.items()}
    seen = set()
    for sample, plan in enumerate(op.plans(5, 2, np.arange(40), SHAPE)):
        drawn = drawn_for(op, sample)[1]
        got = [(functions[function], strength) for function, strength in plan]
        assert got == twin.rand_augment_plan(drawn, names, 12, signed)
        seen |= {name for name, _ in got}
    assert seen == set(names)
    image = rough(1)
    expected = image
    for name, strength in got:
        expected = OPERATIONS[name][0](expected, strength)
    np.testing.assert_array_equal(run(op, image, 39), expected)


def test_face_operations_keep_landmarks_and_skin():
    kept = {"rotate", "shear_x", "shear_y", "translate_x", "translate_y", "solarize", "posterize"}
    assert set(OPERATIONS) - set(FACE_OPERATIONS) == kept
    assert len(OPERATIONS) == 14  # the paper's
