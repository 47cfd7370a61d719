"""Networks and images for the tests of this folder."""

import pytest
from deploy_nets import make_small, randomize


@pytest.fixture
def small_net():
    return make_small()


@pytest.fixture(scope="session")
def mobilefacenet():
    from gluonface import get_model

    return randomize(get_model("mobilefacenet"))
