"""Lists of augmentations."""

import numpy as np
import pytest
from augment_images import rough

from gluonface.data.augment import (
    Pipeline,
    describe,
    read_augmentations,
)
from gluonface.errors import InputError


def test_list_keeps_its_order_but_for_flip_and_mixing():
    pipeline = Pipeline([{"cutmix": {"p": 0.5}}, "cutout", {"jpeg": None}, {"flip": {"p": 0.3}}])
    assert [op.name for op in pipeline] == ["flip", "cutout", "jpeg", "cutmix"]
    assert pipeline.mixing.p == 0.5
    assert [op.name for op in read_augmentations({"blur": {}, "gray": {}})] == [
        "gaussian_blur",
        "random_grey",
    ]
    again = read_augmentations(describe(pipeline))
    assert [repr(op) for op in again] == [repr(op) for op in pipeline]
    image = rough()
    both = Pipeline([{"jpeg": {"p": 1}}, "cutout"]).image(image, sample=4)
    step = Pipeline([{"jpeg": {"p": 1}}]).image(image, sample=4)
    np.testing.assert_array_equal(both, Pipeline(["cutout"]).image(step, sample=4))
    other = Pipeline(["cutout", {"jpeg": {"p": 1}}]).image(image, sample=4)
    assert (both != other).any()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (3, "augment = 3 is not a list"),
        (["color_jiter"], "unknown augmentation 'color_jiter'. Did you mean 'color_jitter'"),
        ([{"cutout": {"side": 1}}], "cutout has no parameter 'side'. Did you mean 'size'"),
        ([{"color_jitter": {"hue": 0.6}}], "hue=0.6 is not allowed; it must be at least 0 and at"),
        ([{"jpeg": {"min_quality": 50.5}}], "min_quality=50.5 is not allowed"),
        ([{"jpeg": {"min_quality": 96}}], "jpeg: min_quality=96 is above max_quality=95"),
        ([{"random_erasing": {"min_area": 0.5}}], "min_area=0.5 is above max_area=0.4"),
        ([{"rand_augment": {"ops": ["twist"]}}], r"ops=\['twist'\] is not allowed"),
        ([{"rand_augment": {"ops": []}}], "is not allowed; it must be face, all, or a list"),
        ([{"cutout": 0.5}], "cutout: 0.5 are no parameters"),
        ([["cutout"]], "is no augmentation"),
        (["cutout", {"cutout": {"size": 0.1}}], "cutout is there twice"),
        (["mixup", "cutmix"], "mixup and cutmix both mix"),
    ],
)
def test_wrong_lists(entries, message):
    with pytest.raises(InputError, match=message):
        read_augmentations(entries)
