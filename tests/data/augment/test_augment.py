"""Every augmentation against its slow twin, and what a batch of them can rely on."""

import numpy as np
import pytest
from reference import augment as twin

from gluonface.data import Loader, images
from gluonface.data.augment import (
    AUGMENTATIONS,
    FLIP,
    Pipeline,
    describe,
    flips,
    hash64,
    read_augmentations,
    uniform,
)
from gluonface.data.augment.randaugment import FACE_OPERATIONS, OPERATIONS
from gluonface.errors import InputError

SHAPE = (48, 32)  # not square, and a multiple of 16 for JPEG


def smooth(seed=0, shape=SHAPE):
    """Soft colours with a little noise: JPEG and interpolation have something to do."""
    random = np.random.Generator(np.random.PCG64(seed))
    image = images.resize(random.integers(0, 256, (5, 4, 3), dtype=np.uint8), shape)
    noise = random.normal(0, 4, (*shape, 3))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def rough(seed=0, shape=SHAPE):
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (*shape, 3), dtype=np.uint8)


def drawn_for(op, sample, seed=5, epoch=2):
    """The numbers that an augmentation gets, and whether it is applied, by the twin's hash."""
    first = twin.slow_uniform(seed, epoch, sample, op.stream)
    rest = [twin.slow_uniform(seed, epoch, sample, op.stream + 1 + k) for k in range(op.draws)]
    return first >= 1 - op.p, rest


def run(op, image, sample, seed=5, epoch=2):
    return Pipeline([op]).image(image, seed, epoch, sample)


# --- random numbers


def test_splitmix64_known_values():
    """The first outputs of SplitMix64 with seed 0, as its authors publish them."""
    assert [twin.mix(twin.STEP * n & twin.MASK) for n in (1, 2, 3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**40 + 3])
@pytest.mark.parametrize("epoch", [0, 7])
def test_hash_equals_twin(seed, epoch):
    index = np.array([0, 1, 2, 1000, 17_000_000, 2**40])
    expected = [twin.slow_hash(seed, epoch, int(i), 3) for i in index]
    assert hash64(seed, epoch, index, 3).tolist() == expected
    assert hash64(seed, epoch, index.astype(np.int32)[:4], 3).tolist() == expected[:4]
    assert flips(seed, epoch, index).tolist() == [
        twin.slow_hash(seed, epoch, int(i), FLIP) >> 63 == 1 for i in index
    ]


def test_choice_is_of_the_sample_alone():
    index = np.random.Generator(np.random.PCG64(0)).permutation(1000)
    together = flips(5, 2, np.arange(1000))
    np.testing.assert_array_equal(flips(5, 2, index), together[index])
    assert [bool(flips(5, 2, [i])[0]) for i in range(20)] == together[:20].tolist()
    assert Pipeline(["flip"]).flips(5, 2, index) == together[index].tolist()


def test_choices_are_balanced_and_independent():
    n = 40_000
    index = np.arange(n)
    tables = [flips(seed, epoch, index) for seed in (0, 1) for epoch in (0, 1, 2)]
    sigma = 0.5 / np.sqrt(n)
    for i, one in enumerate(tables):
        assert abs(one.mean() - 0.5) < 4 * sigma
        assert abs((one[1:] == one[:-1]).mean() - 0.5) < 4 * sigma  # neighbours
        for other in tables[:i]:
            assert abs((one == other).mean() - 0.5) < 4 * sigma


def test_uniform():
    values = uniform(3, 1, np.arange(50_000), 9)
    assert values.dtype == np.float64
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, 20, (0, 1))[0]
    chi2 = ((counts - 2500) ** 2 / 2500).sum()
    assert chi2 < 45  # 19 degrees of freedom: 0.07 % beyond


def test_streams_do_not_overlap():
    used = {}
    for name in AUGMENTATIONS.list():
        op = AUGMENTATIONS.get(name)(**({"n": 14} if name == "rand_augment" else {}))
        for number in range(op.stream, op.stream + op.draws + 1):
            assert used.setdefault(number, name) == name
    assert max(used) < 0x10000  # where the samplers begin


# --- each against its twin

# Levels (0..255) that a pixel may differ by, and why; and the share of pixels that may differ.
CASES = {
    "flip": ({}, rough, lambda image, drawn: image[:, ::-1], 0, 0),
    # OpenCV's fixed point has 10 bits: 3 products of up to 255 off by 2**-11 each.
    "color_jitter": (
        {"brightness": 0.5, "contrast": 0.4, "saturation": 0.9, "hue": 0.5},
        rough,
        None,
        1,
        0.25,
    ),
    "random_grey": ({}, rough, None, 1, 0.01),  # its luma has 14 bits
    # Each of the two passes rounds to 8 bits of fraction.
    "gaussian_blur": ({"min_sigma": 0.3, "max_sigma": 3}, rough, None, 1, 0.25),
    "low_resolution": ({"min_scale": 0.2, "max_scale": 0.9}, rough, None, 1, 0.25),
    "random_erasing": ({}, rough, None, 0, 0),
    "cutout": ({"size": 0.7}, rough, None, 0, 0),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sample", range(6))
def test_equals_twin(name, sample):
    params, picture, expected, off, share = CASES[name]
    op = AUGMENTATIONS.get(name)(**{**params, "p": 1.0})
    image = picture(sample)
    result = run(op, image, sample)
    applied, drawn = drawn_for(op, sample)
    assert applied
    if expected is None:
        values = {k: getattr(op, k) for k in op.parameters if k != "p"}
        wanted = getattr(twin, name)(image, drawn, **values)
    else:
        wanted = expected(image, drawn)
    difference = np.abs(result.astype(np.int64) - wanted)
    assert difference.max() <= off
    assert (difference > 0).mean() <= share
    assert (result != image).any()


@pytest.mark.parametrize("sample", range(4))
def test_jpeg_equals_twin(sample):
    """libjpeg computes colours, chroma means and the cosine transform in whole numbers, so a
    coefficient may be quantised to its other side, which at quality 30 is many levels: compare
    with what the compression itself costs."""
    op = AUGMENTATIONS.get("jpeg")(p=1.0)
    image = smooth(sample)
    wanted = twin.jpeg(image, drawn_for(op, sample)[1], 30, 95)
    difference = np.abs(run(op, image, sample).astype(np.int64) - wanted)
    lost = np.abs(image.astype(np.int64) - wanted)
    assert difference.mean() < 1
    assert np.percentile(difference, 99) <= 8
    assert difference.mean() < lost.mean() / 4


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


def test_color_jitter_leaves_a_grey_grey_and_white_noise_of_hue_its_luma():
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    op = AUGMENTATIONS.get("color_jitter")(brightness=0, contrast=0, saturation=1, hue=0.5)
    for sample in range(5):
        assert np.abs(run(op, grey, sample).astype(int) - grey).max() <= 1
    middle = 128 + smooth(2) // 16  # far from 0 and 255: nothing is cut off
    for sample in range(5):
        before, after = (twin.luma(x.astype(float)) for x in (middle, run(op, middle, sample)))
        assert np.abs(before - after).max() < 1.2


def test_every_augmentation_has_a_twin():
    apart = {"jpeg", "rand_augment", "mixup", "cutmix"}  # with tests of their own
    assert sorted(AUGMENTATIONS.list()) == sorted({*CASES, *apart})


class Pictures:
    """A data set in memory."""

    image_size = SHAPE
    labels = np.arange(48) % 5

    def __len__(self):
        return 48

    def load(self, index, out, flip=False, change=None):
        image = smooth(index)
        image = image[:, ::-1] if flip else image
        image = image if change is None else change(np.array(image, order="C"))
        out[...] = image.transpose(2, 0, 1)
        return int(self.labels[index])


@pytest.mark.parametrize("name", AUGMENTATIONS.list())
def test_the_same_on_any_number_of_workers_and_ranks_and_after_a_resume(name):
    options = {"seed": 2, "augment": [{name: {"p": 0.7}}]}
    whole = [batch.images for batch in Loader(Pictures(), 12, workers=1, **options).epoch(3)]
    plain = [batch.images for batch in Loader(Pictures(), 12, seed=2, flip=False).epoch(3)]
    assert any((one != other).any() for one, other in zip(whole, plain))
    parts = [
        [batch.images for batch in Loader(Pictures(), 4, rank=r, size=3, **options).epoch(3)]
        for r in range(3)
    ]
    for step, expected in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[step] for part in parts]), expected)
    resumed = [batch.images for batch in Loader(Pictures(), 12, workers=4, **options).epoch(3, 2)]
    np.testing.assert_array_equal(resumed, whole[2:])


@pytest.mark.parametrize("name", AUGMENTATIONS.list())
def test_share_of_the_images(name):
    """p is the share; 0 is never, 1 always."""
    build = AUGMENTATIONS.get(name)
    keys = np.arange(4000)

    def share(p):
        plans = build(p=p).plans(1, 0, keys, SHAPE)
        return np.mean([plan is not None for plan in plans])

    assert share(0.0) == 0
    always = share(1.0)
    assert always > 0.97  # random erasing may not fit, low resolution may be full resolution
    assert abs(share(0.3) - 0.3 * always) < 4 * np.sqrt(0.21 / 4000)


def test_holes_lie_as_the_papers_say():
    erasing = AUGMENTATIONS.get("random_erasing")(p=1)
    boxes = np.array([p[:4] for p in erasing.plans(0, 0, np.arange(3000), (112, 112)) if p])
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides.prod(1) / 112**2
    assert boxes.min() >= 0
    assert boxes.max() <= 112
    assert 0.018 < areas.min() < 0.03
    assert 0.37 < areas.max() < 0.405
    cutout = AUGMENTATIONS.get("cutout")()
    boxes = np.array([p[:4] for p in cutout.plans(0, 0, np.arange(3000), (112, 112))])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.max() == 56
    assert sides.min() == 28  # around a corner pixel
    assert abs((sides == 56).mean() - 57 / 112) < 0.03


# --- lists


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
