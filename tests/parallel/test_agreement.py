"""Ranks that were started unlike each other."""

import pytest
from sampled_cases import SIZE
from simulated_ranks import on_ranks

from gluonface.errors import InputError
from gluonface.parallel import PartialFC


def test_ranks_of_unlike_configuration_are_told_so_on_every_rank():
    def work(comm):
        with pytest.raises(InputError) as caught:
            PartialFC("cosface", 40 + comm.rank // 2, SIZE, comm=comm, seed=int(comm.rank == 1))
        return str(caught.value)

    found, _ = on_ranks(3, work)
    assert len(set(found)) == 1
    assert "num_classes is 40 on rank 0, 1; 41 on rank 2" in found[0]
    assert "seed is" in found[0]
