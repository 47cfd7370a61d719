"""Which process has ended, told by its connections. `tests/distributed` has it with processes."""

from simulated_ranks import on_ranks

from gluonface.parallel import Local
from gluonface.parallel.liveness import PeerMonitor


def watch(comm, ending):
    """Return what each rank sees after rank 1 ended as `ending(monitor)` does."""
    monitor = PeerMonitor(comm)
    comm.barrier("made")
    before = monitor.ended(wait=0)
    comm.barrier("seen")
    if comm.rank == 1:
        ending(monitor)
    after = [] if comm.rank == 1 else monitor.ended(wait=0.5)
    comm.barrier("done")  # the others must not end before all have looked
    monitor.close()
    return before, after


def test_a_process_that_ended_is_named():
    found, _ = on_ranks(3, lambda comm: watch(comm, PeerMonitor.close))
    assert [before for before, _ in found] == [[], [], []]
    assert found[0][1] == found[2][1] == [1]


def test_a_process_that_ends_because_of_another_is_not_named():
    def end(monitor):
        monitor.end_without_report()
        monitor.close()

    found, _ = on_ranks(3, lambda comm: watch(comm, end))
    assert found[0][1] == found[2][1] == []


def test_a_process_alone_has_no_peers():
    monitor = PeerMonitor(Local())
    assert monitor.ended(wait=0) == []
    monitor.close()
