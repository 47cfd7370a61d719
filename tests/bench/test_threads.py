import os

import pytest

from gluonface.bench.threads import set_threads
from gluonface.errors import InputError


def test_what_each_library_reads(monkeypatch, caplog):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    set_threads(None)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    set_threads(2)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("2", "7")
    assert not caplog.records
    set_threads(3, "numpy")
    assert (os.environ["OPENBLAS_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == ("3", "3")
    assert "NumPy was loaded before" in caplog.text  # by this file's imports


@pytest.mark.parametrize("library", ["mxnet", "numpy"])
def test_no_thread(library):
    with pytest.raises(InputError, match="--threads is 0"):
        set_threads(0, library)
