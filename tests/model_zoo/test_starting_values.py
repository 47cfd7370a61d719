"""Every backbone starts from the values that its specification names, at any embedding size."""

import fnmatch

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.model_zoo import BACKBONES, get_model, list_models

HEAVY = 1.4e8  # as in test_every_model


def he_out(shape):
    return "normal", np.sqrt(2 / (shape[0] * np.prod(shape[2:])))


def he_in(shape):
    return "uniform", np.sqrt(2 / np.prod(shape[1:]))


def default(shape):
    """What PyTorch gives a layer that nothing is said about."""
    return "uniform", np.sqrt(1 / 3 / np.prod(shape[1:]))


def small(shape):
    return "normal", 0.02


# names -> how convolutions and linear layers start; the first that fits
RULES = (
    ("iresnet*", he_out, default),
    ("resnext*", he_out, default),
    ("hrnet*", he_out, default),
    ("densenet*", he_in, default),
    ("proxylessnas*", he_in, default),
    ("efficientnet*", he_in, default),
    ("*mixfacenet*", he_in, he_in),
    ("vit*", default, small),
    ("cvlface_vit*", default, small),
    ("timmface_vit*", default, small),
    ("timmface_convnext*", small, small),
    ("edgeface*gamma*", small, default),
    ("edgeface*", small, small),
    ("*", he_out, he_out),
)
# parameters that start otherwise; where a rule stands for a bias, it is that of its weight
EXCEPTIONS = (
    ("mobilefacenet_eca", "*attention.conv.weight", default),
    ("resnest*", "*split.fc*bias", default),
    ("iresnet*", "head.fc.bias", default),
    ("resnext*", "head.fc.bias", default),
    ("hrnet*", "head.fc.bias", default),
    ("densenet*", "head.fc.bias", default),
    ("*vit_*", "patches.bias", default),
    ("*vit_*", "positions", small),
    ("vit*", "mask_token", small),
    ("timmface_vit_tiny*", "class_token", lambda shape: ("normal", 1e-6)),
    ("timmface_convnext*", "*scale.gamma", 1e-6),
    ("edgeface*", "*scale.gamma", 1e-6),
    ("edgeface*", "*scale_xca.gamma", 1e-6),
    ("edgeface*", "*temperature", 1),
    ("edgeface*", "*positions.weight", small),
    ("edgeface*gamma*", "*linear2.bias", default),
    ("mobilefacenet_gct", "*attention.alpha", 1),
    ("mobilefacenet_gct", "*attention.gamma", 0),
    ("resnext*", "*body.7.gamma", 0),
)
CONSTANTS = {"bias": 0, "alpha": 0.25, "gamma": 1, "beta": 0, "running_mean": 0, "running_var": 1}


def check_random(value, rule, shape, key):
    kind, std = rule(shape)
    n, value = value.size, value.astype("float64")
    # The standard deviation of n normal numbers scatters by 1 / sqrt(2 n), of uniform ones less.
    assert value.std() == pytest.approx(std, rel=5 / np.sqrt(2 * n), abs=0), key
    assert abs(value.mean()) < 5 * std / np.sqrt(n), key
    if n > 1000:  # which of the two it is: the largest of so many normal ones is above 2.3
        assert (np.abs(value).max() < 1.74 * std) == (kind == "uniform"), key


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow) if BACKBONES.get(n)[0].macs > HEAVY else n
        for n in list_models()
    ],
)
def test_starting_values(name):
    mx.random.seed(1)
    net = get_model(name, embedding_size=67)
    named = net._collect_params_with_prefix()
    convolution, linear = next(r[1:] for r in RULES if fnmatch.fnmatchcase(name, r[0]))
    used = set()
    for key, parameter in named.items():
        value, role = parameter.data().asnumpy(), key.rpartition(".")[2]
        shape = named[f"{key[:-4]}weight"].shape if role == "bias" else value.shape
        want = CONSTANTS.get(role, linear if value.ndim == 2 else convolution)
        for names, keys, exception in EXCEPTIONS:
            if fnmatch.fnmatchcase(name, names) and fnmatch.fnmatchcase(key, keys):
                want = exception
                used.add((names, keys))
        if callable(want):
            check_random(value, want, shape, key)
        elif role == "running_var" and name.startswith("iresnet"):
            assert (value == value[0]).all(), key  # what it is, the embeddings show
        else:
            assert (value == want).all(), key
    assert used == {e[:2] for e in EXCEPTIONS if fnmatch.fnmatchcase(name, e[0])}
    x = mx.nd.array(np.random.default_rng(0).uniform(0, 255, (1, 3, *net.cfg.input_size)))
    y = net(x).asnumpy()
    assert y.shape == (1, 67)
    assert np.isfinite(y).all()
    if name.startswith("iresnet"):
        # The reference's N(0, 0.1) gives 1e7 with 18 layers, 1e26 with 50 and NaN with 100.
        assert 0.01 < np.abs(y).mean() < 10
