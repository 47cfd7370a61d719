"""`gluonface bench search`: the exact search of galleries beside what else is exact.

Vectors are random, seeded, of unit length. In one run, by turns: the matrix product alone, the
product with NumPy's argpartition, our search, and faiss's flat index where faiss is installed.
"""

import dataclasses
import importlib
import logging
import sys
import time
import typing

from ..errors import InputError
from ..files import write_json
from .eval import _normal, _reset_peak, _status
from .threads import set_threads

__all__ = ["Row", "add_arguments", "measure", "run", "table"]

logger = logging.getLogger(__name__)

TOP = 10
SPARE = 16  # candidates of argpartition that are compared in float64, more than TOP
SINGLE = 8  # searches of one query that make a turn
MANY = 256  # up to so many queries our search multiplies together
GOALS = (
    "goals: 256 queries at most 1.2 x the product alone, which no search can be faster than; "
    "one query at most 1.1 x faiss"
)


@dataclasses.dataclass
class Row:
    """One line of the table.

    Attributes
    ----------
    rows, size, batch : int
        Of the matrix and of the queries.
    method : str
    cpu : float
        CPU milliseconds a query, of the fastest turn.
    wall : float
        Milliseconds a query of that turn.
    recall : float or None
        Share of the `TOP` nearest rows (by float64) that were found.
    peak_mb : float or None
        Memory above the matrix at its peak.
    """

    rows: int
    size: int
    batch: int
    method: str
    cpu: float
    wall: float
    recall: typing.Optional[float] = None
    peak_mb: typing.Optional[float] = None


def add_arguments(parser):
    """Add the options of `gluonface bench search` to `parser`."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the gallery")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[128, 512], metavar="D", help="of the embeddings"
    )
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 256], metavar="N", help="queries together"
    )
    parser.add_argument("--threads", type=int, default=1, help="of the matrix products")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each; the fastest counts")
    parser.add_argument("--seed", type=int, default=0, help="of the vectors")
    parser.add_argument("--json", metavar="FILE", help="write the result to FILE as well")


def measure(rows, sizes, batches, repeats=5, seed=0, threads=1):
    """Time the searches.

    Returns
    -------
    list of Row
    """
    for name, values in (("rows", [rows]), ("size", sizes), ("batch", batches)):
        for value in values:
            if value < 1:
                raise InputError(f"the number of {name} is {value}; expected 1 or more")
    if rows < TOP + SPARE:
        raise InputError(f"the number of rows is {rows}; expected {TOP + SPARE} or more")
    if repeats < 1:
        raise InputError(f"the number of repeats is {repeats}; expected 1 or more")
    try:
        faiss = importlib.import_module("faiss")
        faiss.omp_set_num_threads(threads)
    except ImportError:
        logger.info("faiss is not installed (pip install faiss-cpu); it is left out")
        faiss = None
    table = []
    for size in sizes:
        table += _measure(rows, size, batches, repeats, seed, faiss)
    return table


def _measure(rows, size, batches, repeats, seed, faiss):
    import numpy as np

    from ..recognition.nearest import nearest

    rng = np.random.default_rng(seed)
    matrix = _normal(rng, rows, size)
    for start in range(0, rows, 1 << 16):
        block = matrix[start : start + (1 << 16)]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    queries = _normal(rng, max(*batches, SINGLE), size)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    methods = {
        "product": lambda some: _product(some, matrix),
        "argpartition": lambda some: _argpartition(some, matrix),
        "gluonface": lambda some: nearest(some, matrix, TOP)[1],
    }
    if faiss is not None:
        methods["faiss flat"] = lambda some: faiss.knn(
            some, matrix, TOP, metric=faiss.METRIC_INNER_PRODUCT
        )[1]
    found = []
    for batch in batches:
        turns = SINGLE if batch == 1 else 1
        parts = [queries[turn * batch : (turn + 1) * batch] for turn in range(turns)]
        lines = {name: Row(rows, size, batch, name, np.inf, np.inf) for name in methods}
        results = {}
        for _ in range(repeats):
            for name, method in methods.items():  # by turns: the machine may be busy
                before = _reset_peak()
                wall, cpu = time.perf_counter(), time.process_time()
                results[name] = [method(part) for part in parts]
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                line = lines[name]
                if before is not None:
                    line.peak_mb = max(line.peak_mb or 0, (_status("VmHWM") - before) / 1024)
                if cpu * 1e3 / (turns * batch) < line.cpu:
                    line.cpu, line.wall = (v * 1e3 / (turns * batch) for v in (cpu, wall))
        known = [_exact(part, matrix, some) for part, some in zip(parts, results["argpartition"])]
        for name, line in lines.items():
            if name == "argpartition":
                line.recall = 1.0  # its candidates, compared in float64, are what is known
            elif name != "product":
                pairs = zip(np.concatenate(known), np.concatenate(results[name]))
                line.recall = float(np.mean([len(set(a) & set(b)) / TOP for a, b in pairs]))
            logger.info("%d x %d, batch %d, %s: %.2f ms", rows, size, batch, name, line.cpu)
        found += lines.values()
    return found


def _product(queries, matrix):
    """Multiply, in the tiles of our search, and forget the result."""
    import numpy as np

    from ..recognition import nearest

    buffer = np.empty((min(len(queries), MANY), nearest.ROWS), np.float32)
    for first in range(0, len(queries), MANY):
        some = queries[first : first + MANY]
        for start in range(0, len(matrix), nearest.ROWS):
            block = matrix[start : start + nearest.ROWS]
            np.matmul(some, block.T, out=buffer[: len(some), : len(block)])


def _argpartition(queries, matrix):
    """Return the rows of the best products: argpartition of every tile, and of what is left."""
    import numpy as np

    from ..recognition import nearest

    keep, scores, rows = TOP + SPARE, [], []
    for start in range(0, len(matrix), nearest.ROWS):
        tile = queries @ matrix[start : start + nearest.ROWS].T
        best = np.argpartition(tile, max(0, tile.shape[1] - keep), axis=1)[:, -keep:]
        scores.append(np.take_along_axis(tile, best, axis=1))
        rows.append(best + start)
    scores, rows = np.concatenate(scores, axis=1), np.concatenate(rows, axis=1)
    best = np.argpartition(scores, scores.shape[1] - keep, axis=1)[:, -keep:]
    return np.take_along_axis(rows, best, axis=1)


def _exact(queries, matrix, candidates):
    """Return the best `TOP` of candidate rows (q, n) by products in float64."""
    import numpy as np

    known = np.empty((len(queries), TOP), np.int64)
    for query, rows, out in zip(queries, candidates, known):
        products = matrix[rows].astype(np.float64) @ query
        out[:] = rows[np.lexsort((rows, -products))[:TOP]]
    return known


def run(args):
    """Measure and print the table."""
    set_threads(args.threads, "numpy")
    rows = measure(args.rows, args.sizes, args.batches, args.repeats, args.seed, args.threads)
    sys.stdout.write(table(rows, args.threads, args.repeats) + "\n")
    if args.json:
        setup = {key: getattr(args, key) for key in ("threads", "repeats", "seed")}
        write_json(args.json, {**setup, "rows": [dataclasses.asdict(row) for row in rows]})
    return 0


def table(rows, threads, repeats):
    """Lay the rows out as text."""
    from ..evaluation.results.tables import align_columns

    lines = [
        f"search of the {TOP} nearest, {threads} thread{'s' if threads > 1 else ''}, "
        f"CPU milliseconds a query, the fastest of {repeats} turns",
        GOALS,
    ]
    cells = [["", "batch", "ms", "wall", "/ product", "/ argpartition", "/ faiss", "recall", "MB"]]
    for row in rows:
        beside = {
            one.method: one.cpu
            for one in rows
            if (one.rows, one.size, one.batch) == (row.rows, row.size, row.batch)
        }
        ratios = [
            f"{row.cpu / beside[name]:.2f}" if name in beside else "-"
            for name in ("product", "argpartition", "faiss flat")
        ]
        cells.append(
            [
                f"{row.rows:,} x {row.size}, {row.method}",
                str(row.batch),
                f"{row.cpu:.2f}",
                f"{row.wall:.2f}",
                *ratios,
                "-" if row.recall is None else f"{row.recall:.4f}",
                "-" if row.peak_mb is None else f"{row.peak_mb:.0f}",
            ]
        )
    lines.append(align_columns(cells))
    return "\n".join(lines)
