import numpy as np
import pytest
from evaluation_cases import pooled
from reference import ijb as twin

from gluonface.errors import InputError
from gluonface.evaluation.scores import templates


def made(seed, images=60, templates_=14, size=8):
    rng = np.random.default_rng(seed)
    template = rng.permutation(np.arange(images) % templates_) * 7 + 3
    media = rng.integers(0, 4, images)
    e, f = rng.normal(size=(2, images, size))
    return e, f, template, media, rng.uniform(0.1, 1, images)


def test_template_features_are_those_of_the_public_script(janus, folder):
    known = np.load(folder / "ijb_expected.npz")
    ids, units = pooled(janus, "N0D1F1", np.float64)
    np.testing.assert_array_equal(ids, known["template_ids"])
    np.testing.assert_allclose(units, known["template_feats"], rtol=0, atol=4e-8)  # of float32


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("mirror", "weighted"), [(False, False), (True, True), (True, False)])
def test_pooling_equals_the_loops(seed, normalize, mirror, weighted, monkeypatch):
    monkeypatch.setattr(templates, "_ROWS", 9)  # several blocks, and templates larger than one
    e, f, template, media, quality = made(seed)
    extra = {"mirrored": f if mirror else None, "quality": quality if weighted else None}
    known = twin.pool(e, template, media, *extra.values(), normalize)
    for dtype, near in ((np.float64, 1e-14), (np.float32, 5e-7)):
        ids, units = templates.pool(
            e, template, media, normalize_images=normalize, dtype=dtype, **extra
        )
        assert ids.tolist() == list(known)
        np.testing.assert_allclose(units, list(known.values()), rtol=0, atol=near)


def test_pooling_does_not_depend_on_the_order_of_images():
    e, f, template, media, quality = made(3)
    order = np.random.default_rng(0).permutation(len(e))
    one = templates.pool(e, template, media, f, quality, dtype=np.float64)
    other = templates.pool(
        e[order], template[order], media[order], f[order], quality[order], dtype=np.float64
    )
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_allclose(one[1], other[1], rtol=0, atol=1e-15)  # sums in another order


def test_media_are_means_and_not_normalised():
    """Three frames of one video count as one still, with the length they have."""
    e = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    _, units = templates.pool(e, [5] * 4, [1, 1, 1, 2], dtype=np.float64)
    np.testing.assert_allclose(units, [[2 / np.sqrt(5), 1 / np.sqrt(5)]], rtol=1e-15)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"template": [1, 2, 3]}, "template ids have shape"),
        ({"media": np.ones(4)}, "media ids have shape"),
        ({"quality": [1, 2, np.nan, 1]}, "not finite"),
        ({"quality": [1, 2]}, "detector scores have shape"),
        ({"mirrored": np.ones((3, 2))}, "3 features for 4"),
    ],
)
def test_pooling_refuses_lists_that_do_not_fit(change, said):
    given = {"features": np.ones((4, 2)), "template": [1, 1, 2, 2], "media": [0, 0, 0, 0]}
    with pytest.raises(InputError, match=said):
        templates.pool(**{**given, **change})


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pooling_names_the_image_that_is_not_finite(value, normalize):
    e = np.ones((6, 3))
    e[4, 1] = value
    with pytest.raises(InputError, match="features row 4 is not finite"):
        templates.pool(e, [3, 3, 2, 2, 1, 1], [0] * 6, normalize_images=normalize)
