"""Fixtures that several test folders share."""

import os
import pathlib

import pytest

# Two OpenMP threads that wait for each other at every small operator crawl as soon as another
# process wants a core, and tests are made of small operators. MXNet reads this at its import.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared():
    """Return the folder of real faces, a real model and reference cases beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the reference data in {SHARED}, which is not part of the project")
    return SHARED
