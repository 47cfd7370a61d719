"""Networks and images for the tests of this folder."""

import numpy as np
import pytest
from deploy_nets import make_small, randomize


@pytest.fixture
def small_net():
    return make_small()


@pytest.fixture(scope="session")
def mobilefacenet():
    from gluonface import get_model

    return randomize(get_model("mobilefacenet"))


@pytest.fixture(scope="session")
def images():
    """Seven uint8 images that differ from their mirrors."""
    rng = np.random.RandomState(1)
    coarse = rng.randint(0, 256, (7, 14, 14, 3)).astype(np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture(scope="session")
def small_prefix(tmp_path_factory):
    """An exported small network: its prefix."""
    from gluonface.deploy import export_model

    prefix = tmp_path_factory.mktemp("small") / "small"
    export_model(make_small(), prefix, card={"name": "small"})
    return prefix
