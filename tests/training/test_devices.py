"""Devices and processes of a run."""

import pytest

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.parallel import Local
from gluonface.training.devices import communicator, contexts


@pytest.mark.parametrize("name", ["HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_one_of_several_processes_does_not_train_alone(monkeypatch, name):
    monkeypatch.setenv(name, "4")
    with pytest.raises(InputError, match=rf"one of 4 processes \({name}\).*--parallel horovod"):
        communicator("local")
    monkeypatch.setenv(name, "1")
    assert isinstance(communicator("local"), Local)


def test_contexts():
    assert contexts("cpu") == [mx.cpu()]
    assert contexts("cpu0,cpu(1)") == [mx.cpu(0), mx.cpu(1)]
    with pytest.raises(InputError, match="'tpu' is no device"):
        contexts("cpu0,tpu")
