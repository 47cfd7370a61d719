import subprocess
import sys
import types

import pytest

from gluonface._compat import mx
from gluonface.errors import GluonfaceError, InputError, MissingExtraError
from gluonface.parallel import Horovod, Local, communicator


def test_local_collectives_return_their_argument():
    comm = Local()
    assert (comm.rank, comm.size, comm.local_rank) == (0, 1, 0)
    x = mx.nd.ones((2, 3))
    for op in ("sum", "mean", "max", "min"):
        assert comm.allreduce(x, op, "x") is x
    assert comm.allgather(x, "x") is x
    assert comm.reducescatter(x, "x") is x
    assert comm.broadcast(x, 0, "x") is x
    assert comm.barrier("x") is None
    with pytest.raises(InputError, match="unknown reduction 'product'"):
        comm.allreduce(x, "product", "x")
    with pytest.raises(InputError, match="rank 1"):
        comm.broadcast(x, 1, "x")


def test_missing_horovod_names_the_extra(monkeypatch):
    monkeypatch.setattr(communicator.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"gluonface\[horovod\]"):
        Horovod()


def test_horovod_without_mxnet_gives_the_build_flags(monkeypatch):
    monkeypatch.setattr(communicator.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "horovod", types.ModuleType("horovod"))
    monkeypatch.setitem(sys.modules, "horovod.mxnet", None)  # importing it raises ImportError
    with pytest.raises(GluonfaceError, match="HOROVOD_WITH_MXNET=1 HOROVOD_WITH_GLOO=1"):
        Horovod()


def test_the_package_does_not_import_mxnet_or_horovod_until_asked():
    code = (
        "import sys; import gluonface.parallel as p;"
        "print('mxnet' in sys.modules); p.PartialFC; print('horovod' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]
