"""Fixtures that several test folders share, and the option ``--cases``."""

import itertools
import os
import pathlib

import pytest

# Two OpenMP threads that wait for each other at every small operator crawl as soon as another
# process wants a core, and tests are made of small operators. MXNet reads this at its import.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Each of pytest-xdist's processes keeps to one core. MXNet hands every operator to a thread of its
# own, and to wake that on another core takes longer than most operators here: with processes that
# move about, tests of heads and losses take 1.6 times as long.
if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    os.sched_setaffinity(0, {cores[number % len(cores)]})

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser):
    parser.addoption(
        "--cases",
        action="append",
        default=[],
        metavar="FOLDER=N",
        help="run at most N cases of each parametrised test of a folder, spread over all of them",
    )


@pytest.hookimpl(trylast=True)  # after those that -m and -k leave out
def pytest_collection_modifyitems(config, items):
    kept, left = [], []
    for name, cases in itertools.groupby(items, lambda item: item.nodeid.split("[")[0]):
        cases = list(cases)
        most = len(cases)
        for option in config.getoption("cases"):
            folder, number = option.split("=")
            if name.startswith(folder):
                most = int(number)
        places = {place * (len(cases) - 1) // max(most - 1, 1) for place in range(most)}
        for place, item in enumerate(cases):
            (kept if place in places else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(scope="session")
def shared():
    """Return the folder of real faces, a real model and reference cases beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the reference data in {SHARED}, which is not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def our_operators():
    """Have `gluonface.native`'s operators; skip where they cannot be compiled."""
    from gluonface import native
    from gluonface.native.build import NativeError, library

    if not native.ready():
        try:
            library()
        except NativeError as error:
            pytest.skip(f"needs gluonface's own operators: {error}")
        pytest.skip("needs gluonface's own operators, which GLUONFACE_NATIVE=0 switches off")


@pytest.fixture
def no_operators(monkeypatch):
    """Do without `gluonface.native`'s operators, as where they cannot be compiled."""
    from gluonface import native

    monkeypatch.setattr(native, "ready", lambda: False)


@pytest.fixture(params=["ours", "composed"])
def ours(request):
    """Run a test with our operators, and without them. Whether they are there."""
    request.getfixturevalue("our_operators" if request.param == "ours" else "no_operators")
    return request.param == "ours"


@pytest.fixture(scope="session")
def images():
    """Seven uint8 images that differ from their mirrors."""
    import numpy as np

    rng = np.random.RandomState(1)
    coarse = rng.randint(0, 256, (7, 14, 14, 3)).astype(np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture(scope="session")
def small_prefix(tmp_path_factory):
    """An exported small network: its prefix."""
    from deploy_nets import make_small

    from gluonface.deploy import export_model

    prefix = tmp_path_factory.mktemp("small") / "small"
    export_model(make_small(), prefix, card={"name": "small"})
    return prefix
