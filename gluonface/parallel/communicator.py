"""Ranks and collectives: one process alone, or many through Horovod.

Every collective takes a name, the same on all ranks and different from that of any other
collective that may be under way: Horovod matches ranks by name, and its automatic numbers differ
for good once a rank makes one extra call.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from typing import Any, Union

from .._compat import mx
from ..errors import GluonfaceError, InputError, MissingExtraError
from .rendezvous import checked_rendezvous
from .watchdog import Watchdog

__all__ = ["Communicator", "Horovod", "Local", "horovod_state"]

logger = logging.getLogger(__name__)
BUILD = (
    "HOROVOD_WITH_MXNET=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 HOROVOD_WITHOUT_PYTORCH=1 "
    "HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_CPU_OPERATIONS=GLOO "
    "pip install --no-build-isolation --force-reinstall --no-deps horovod==0.28.1"
)
OPERATIONS = ("sum", "mean", "max", "min")


def _check_operation(op):
    if op not in OPERATIONS:
        raise InputError(f"unknown reduction {op!r}; expected one of {', '.join(OPERATIONS)}")


def horovod_state() -> str:
    """Return in words whether Horovod is there and what it was built with."""
    if importlib.util.find_spec("horovod") is None:
        return "not installed: training has one process"
    try:
        _ = mx.__version__  # our import of MXNet prepares NumPy, so it has to come first
        import horovod
        import horovod.mxnet as hvd
    except (ImportError, OSError, GluonfaceError) as error:
        return f"installed, but its MXNet part cannot be imported: {error}"
    having = [
        name for name, built in (("Gloo", hvd.gloo_built), ("NCCL", hvd.nccl_built)) if built()
    ]
    return f"{horovod.__version__}, for MXNet, with {' and '.join(having) or 'no operations'}"


class Local:
    """The communicator of a single process: every collective returns its argument.

    Attributes
    ----------
    rank, local_rank : int
        0.
    size : int
        1.
    """

    rank = 0
    local_rank = 0
    size = 1

    def allreduce(self, x: Any, op: str = "sum", name: str | None = None) -> Any:
        """Return `x`, the reduction over one rank."""
        _check_operation(op)
        return x

    def allgather(self, x: Any, name: str | None = None) -> Any:
        """Return `x`, the rows of all ranks."""
        return x

    def reducescatter(self, x: Any, name: str | None = None) -> Any:
        """Return `x`, this rank's rows of the sum."""
        return x

    def broadcast(self, x: Any, root: int = 0, name: str | None = None) -> Any:
        """Return `x`, which is the root's."""
        if root != 0:
            raise InputError(f"broadcast from rank {root}: there is one process, rank 0")
        return x

    def barrier(self, name: str | None = None) -> None:
        """Return at once."""

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Do nothing: there is no other rank to wait for."""
        yield

    def __repr__(self):
        return "Local()"


class Horovod:
    """Collectives of Horovod among the processes that `horovodrun` started.

    Making one calls ``horovod.mxnet.init``. Arrays are NDArrays; results are new ones.

    Attributes
    ----------
    rank, size : int
        This process's number, and how many there are.
    local_rank : int
        This process's number on its machine, which chooses its GPU.

    Raises
    ------
    MissingExtraError
        If Horovod is not installed.
    GluonfaceError
        If it was built without MXNet, or the processes cannot reach each other.

    Notes
    -----
    A rank that waits for more than HOROVOD_STALL_CHECK_TIME_SECONDS, 60 unless set, logs the
    collective and the missing ranks. After HOROVOD_STALL_SHUTDOWN_TIME_SECONDS, 600 unless set, it
    ends, and the launcher ends the others. When a process dies the others end at once.
    """

    def __init__(self):
        _ = mx.__version__  # our import of MXNet prepares NumPy, so it has to come first
        if importlib.util.find_spec("horovod") is None:
            raise MissingExtraError("Horovod", "horovod", "to train with several processes")
        try:
            import horovod.mxnet as hvd
        except ImportError as error:
            raise GluonfaceError(
                f"Horovod is installed but its MXNet part cannot be imported ({error}). It was "
                f"probably built without MXNet. With MXNet installed, build it again: {BUILD}"
            ) from error
        try:
            with checked_rendezvous():
                hvd.init()
        except GluonfaceError:
            raise
        except Exception as error:
            raise GluonfaceError(
                f"the processes of the job cannot reach each other: {error}. Start all of them "
                "with one horovodrun command; on several machines name the network: "
                "--network-interfaces"
            ) from error
        self._hvd = hvd
        self.rank, self.size, self.local_rank = hvd.rank(), hvd.size(), hvd.local_rank()
        self._watchdog = Watchdog(self.rank, self.size)
        self._operations = {"sum": hvd.Sum, "mean": hvd.Average, "max": hvd.Max, "min": hvd.Min}

    @staticmethod
    def _name(name):
        if not name:
            raise InputError("a collective needs a name; unnamed ones can deadlock the ranks")
        return name

    def _wait(self, name):
        return self.waiting(f"in the collective {self._name(name)!r}")

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Log a long wait, and name what was waited for in the error of a failed one.

        Wrap it around code that reads the result of `allreduce` or `broadcast`, which do not wait
        themselves.

        Parameters
        ----------
        what : str
            Completes "rank 0 has waited 60 s ...", as "in the collective 'x'".
        """
        wait = self._watchdog.begin(what)
        try:
            yield
        except mx.base.MXNetError as error:
            raise GluonfaceError(
                f"rank {self.rank} lost the other ranks {what}. The first error that a rank "
                "printed is the cause; the launcher names the process that ended first."
            ) from error
        finally:
            self._watchdog.end(wait)

    def allreduce(self, x: Any, op: str = "sum", name: str | None = None) -> Any:
        """Return the elementwise reduction over all ranks, on every rank. Does not block.

        Parameters
        ----------
        x : NDArray
            Of the same shape on all ranks.
        op : {"sum", "mean", "max", "min"}, default "sum"
        name : str
        """
        _check_operation(op)
        self._watchdog.sent(self._name(name))
        return self._hvd.allreduce(x, op=self._operations[op], name=name)

    def allgather(self, x: Any, name: str | None = None) -> Any:
        """Return the rows of all ranks in rank order. Blocks until they have arrived.

        Parameters
        ----------
        x : NDArray (B, ...)
            B may differ between ranks, and must be at least 1.
        name : str
        """
        with self._wait(name):
            return self._hvd.allgather(x, name=name)

    def reducescatter(self, x: Any, name: str | None = None) -> Any:
        """Return this rank's rows of the sum over all ranks. Blocks until they have arrived.

        Parameters
        ----------
        x : NDArray (N, ...)
            Rank r gets N // size rows, the first N % size ranks one more.
        name : str
        """
        with self._wait(name):
            return self._hvd.reducescatter(x, op=self._hvd.Sum, name=name)

    def broadcast(self, x: Any, root: int = 0, name: str | None = None) -> Any:
        """Return the root's array on every rank."""
        if not 0 <= root < self.size:
            raise InputError(f"broadcast from rank {root}: ranks are 0 to {self.size - 1}")
        self._watchdog.sent(self._name(name))
        return self._hvd.broadcast(x, root_rank=root, name=name)

    def barrier(self, name: str | None = None) -> None:
        """Return when all ranks have called it."""
        with self._wait(name):
            self._hvd.allreduce(mx.nd.zeros((1,)), op=self._hvd.Sum, name=name).wait_to_read()

    def __repr__(self):
        return f"Horovod(rank={self.rank}, size={self.size})"


Communicator = Union[Local, Horovod]
