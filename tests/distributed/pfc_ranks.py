"""Run by `horovodrun -np K`: the stored cases of K ranks. Writes RANK.npz to argv[1]."""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "head"))
from pfc_cases import chain, first, ranks_of

from gluonface.parallel import Horovod


def main(folder, reference):
    comm, out = Horovod(), {}
    for path in sorted(pathlib.Path(reference).glob("pfc_*.npz")):
        data = dict(np.load(path, allow_pickle=False))
        if ranks_of(data) != comm.size:
            continue
        found = first(data, comm, name=f"{path.stem}.first")
        out.update({f"{path.stem}/{key}": value for key, value in found.items()})
        if "index_step2_rank0" in data:
            found = chain(data, comm, momentum_mode="catchup", name=f"{path.stem}.chain")
            out.update({f"{path.stem}/{key}": value for key, value in found.items()})
    np.savez(pathlib.Path(folder) / f"{comm.rank}.npz", **out)


main(*sys.argv[1:])
