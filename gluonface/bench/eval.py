"""`gluonface bench eval`: the evaluation protocols at full size, beside the public programs.

Inputs are random, seeded, with the counts of the real sets; the time of the loops does not depend
on the values. Each protocol is compared with the public program's time, measured once elsewhere,
and with the same rule written as in that program, timed in the same run.
"""

import contextlib
import dataclasses
import logging
import pathlib
import sys
import time
import typing

from ..errors import InputError
from ..files import write_json
from .threads import set_threads

__all__ = ["PARTS", "Row", "add_arguments", "measure", "run"]

logger = logging.getLogger(__name__)

PARTS = ("folds", "pooling", "ijb", "megaface", "ifrt")

# Seconds of the public programs on one core of an AMD EPYC, Python 3.10, NumPy 1.23.5.
PUBLIC = {
    "folds": (1.20, "insightface evaluate"),
    "pooling": (4.8, "ijb_11.py, extrapolated"),
    "ijb": (38.0, "ijb_11.py and roc_curve"),
    "megaface": (137.0, "FaceX-Zoo, 10 ranks, extrapolated"),
    "ifrt": (None, "none"),
}
# Least ratio to the public time, and megabytes above the inputs.
GOALS = {"folds": (50, 300), "pooling": (10, 300), "ijb": (8, 300), "megaface": (None, 200)}


IMAGES, TEMPLATES, GALLERY, PAIRS, SAME = 469_375, 23_124, 3_531, 15_658_489, 19_557
PROBES, PEOPLE = 3_530, 80
FACES, FACES_EACH, ALL_FACES = 1_000_000, 6.7, 1_624_305  # of IFRT, and of its set ALL
SECONDS = 25.0  # a million faces make 5e11 pairs: so long is compared, the rest is extrapolated


@dataclasses.dataclass
class Row:
    """One line of the table.

    Attributes
    ----------
    part, what : str
    seconds, cpu : float
        Of the fastest turn.
    peak_mb : float or None
        Memory above the inputs at its peak; None where the system does not tell.
    public, source : float or None, str
        Seconds of the public program, and which it is.
    reference : float or None
        CPU seconds of the same rule written as in the public program, in this run; for MegaFace
        of the bare product, for IFRT of as many pairs.
    check : str
        How both results agree, and other remarks.
    """

    part: str
    what: str
    seconds: float
    cpu: float
    peak_mb: float
    public: float
    source: str
    reference: typing.Optional[float] = None
    check: str = ""


def add_arguments(parser):
    """Add the options of `gluonface bench eval` to `parser`."""
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--no-reference", action="store_true", help="leave out the public programs' form (45 s)"
    )
    parser.add_argument("--threads", type=int, default=1, help="of the matrix products")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each; the fastest counts")
    parser.add_argument("--seed", type=int, default=0, help="of the made inputs")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="share of the full size; below 1 the public times do not apply",
    )
    parser.add_argument("--json", metavar="FILE", help="write the result to FILE as well")


def measure(parts=PARTS, reference=True, repeats=3, seed=0, scale=1.0):
    """Time the protocols.

    Returns
    -------
    list of Row
    """
    if not 0 < scale <= 1:
        raise InputError(f"the scale is {scale}; expected more than 0, up to 1")
    if repeats < 1:
        raise InputError(f"the number of repeats is {repeats}; expected at least 1")
    makers = {
        "folds": _folds,
        "pooling": _pooling,
        "ijb": _ijb,
        "megaface": _megaface,
        "ifrt": _ifrt,
    }
    rows = []
    for part in parts:
        rows.append(makers[part](reference, repeats, seed, scale))
        logger.info("%s: %.3f s", rows[-1].what, rows[-1].cpu)
    return rows


def run(args):
    """Measure and print the table."""
    set_threads(args.threads, "numpy")
    rows = measure(args.only or PARTS, not args.no_reference, args.repeats, args.seed, args.scale)
    sys.stdout.write(table(rows, args.threads, args.repeats, args.scale) + "\n")
    if args.json:
        setup = {key: getattr(args, key) for key in ("threads", "repeats", "seed", "scale")}
        write_json(args.json, {**setup, "rows": [dataclasses.asdict(row) for row in rows]})
    return 0


def table(rows, threads, repeats, scale=1.0):
    """Lay the rows out as text."""
    from ..evaluation.results.tables import align_columns

    lines = [
        f"evaluation at {'full size' if scale == 1 else f'{scale:g} of full size'}, {threads} "
        f"thread{'s' if threads > 1 else ''}, CPU seconds of the fastest of {repeats} turns",
        "public: the public program's time as measured once on an AMD EPYC core; "
        "same run: its form (MegaFace, IFRT: the bare product), timed here",
    ]
    cells = [["", "s", "wall", "public s", "x", "same run s", "x", "MB above inputs", "goal"]]
    for row in rows:
        least, most = GOALS.get(row.part, (None, None))
        goal = f"{least}x, {most} MB" if least else f"1.3 products, {most} MB" if most else "-"
        same = "-" if row.reference is None else f"{row.reference:.3f}"
        ratio = "-" if row.reference is None else f"{row.reference / row.cpu:.2f}"
        public = ["-", "-"]
        if scale == 1 and row.public:
            public = [f"{row.public:.1f}", f"{row.public / row.cpu:.1f}"]
        peak = "-" if row.peak_mb is None else f"{row.peak_mb:.0f}"
        cells.append(
            [row.what, f"{row.cpu:.4f}", f"{row.seconds:.4f}", *public, same, ratio, peak, goal]
        )
    lines.append(align_columns(cells))
    for row in rows:
        if row.check:
            source = f"; public: {row.source}" if row.public else ""
            lines.append(f"{row.part}: {row.check}{source}")
    return "\n".join(lines)


def _best(work, repeats):
    """Return (result, wall seconds, CPU seconds, MB above the start) of the fastest turn."""
    best, peak = None, None
    for _ in range(repeats):
        before = _reset_peak()
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if before is not None:
            peak = max(peak or 0.0, (_status("VmHWM") - before) / 1024)
        if best is None or cpu < best[2]:
            best = (result, wall, cpu)
        del result
    return (*best, peak)


def _reset_peak():
    """Set the process's peak memory back to what it holds now; return that in KiB, or None."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:  # not Linux, or not allowed
        return None


def _status(name):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return float(line.split()[1])
    raise OSError(f"no {name} in /proc/self/status")


def _row(part, what, measured, reference, check):
    _, wall, cpu, peak = measured
    return Row(part, what, wall, cpu, peak, *PUBLIC[part], reference=reference, check=check)


def _normal(rng, rows, size):
    """Return (rows, size) float32 normal numbers, drawn in blocks."""
    import numpy as np

    out = np.empty((rows, size), np.float32)
    for start in range(0, rows, 1 << 15):
        rng.standard_normal(out=out[start : start + (1 << 15)], dtype=np.float32)
    return out


def _folds(reference, repeats, seed, scale):
    import numpy as np

    from ..evaluation.metrics import folds
    from ..evaluation.scores import pair_comparison

    n = max(20, int(6000 * scale) // 20 * 20)
    rng = np.random.default_rng(seed)
    a = _normal(rng, n, 512)
    issame = np.tile(np.repeat([True, False], n // 20), 10)
    b = np.where(issame[:, None], a, 0) + 1.4 * _normal(rng, n, 512)
    b = b.astype(np.float32)

    def ours():
        compared = pair_comparison.compare_pairs(a, b)
        return (
            folds.kfold_accuracy(compared.distance, issame),
            folds.val_at_far(compared.distance, issame),
        )

    measured = _best(ours, max(3, repeats))
    seconds, check = None, ""
    if reference:
        from ._eval_reference import ten_folds

        (accuracy, val), _, seconds, _ = _best(lambda: ten_folds(a, b, issame), 1)
        mine = measured[0][0].accuracy, measured[0][1].val
        check = f"accuracy {mine[0]:.6f} and {accuracy:.6f}, val {mine[1]:.6f} and {val:.6f}"
    return _row("folds", f"10 folds, {n} pairs", measured, seconds, check)


def _pooling(reference, repeats, seed, scale):
    import numpy as np

    from ..evaluation.scores import templates

    n, count = int(IMAGES * scale), max(2, int(TEMPLATES * scale))
    rng = np.random.default_rng(seed)
    features = _normal(rng, n, 512)
    template = np.sort(rng.integers(0, count, n)) * 3 + 11
    media = rng.integers(0, 5, n)
    quality = rng.uniform(0.1, 1, n)

    def ours():
        return templates.pool(features, template, media, quality=quality)[1]

    measured = _best(ours, repeats)
    seconds, check = None, ""
    if reference:
        from ._eval_reference import pool

        units, _, seconds, _ = _best(lambda: pool(features, template, media, quality), 1)
        check = f"largest difference {np.abs(units - measured[0]).max():.1e}"
    return _row("pooling", f"pooling, {n} images", measured, seconds, check)


def _ijb(reference, repeats, seed, scale):
    import numpy as np

    from ..evaluation.files.ijb_lists import Pairs
    from ..evaluation.protocols import ijb

    count, gallery = max(20, int(TEMPLATES * scale)), max(4, int(GALLERY * scale))
    n, same = max(2000, int(PAIRS * scale**2)), max(50, int(SAME * scale**2))
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(gallery), rng.integers(0, gallery, count - gallery)])
    units = _normal(rng, count, 512)
    units += 0.55 * _normal(rng, gallery, 512)[owner]
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    ids = np.arange(count) * 2 + 5
    probe = rng.integers(gallery, count, same)
    first = np.concatenate([owner[probe], rng.integers(0, gallery, n - same)]).astype(np.int32)
    second = np.concatenate([probe, rng.integers(gallery, count, n - same)]).astype(np.int32)
    order = rng.permutation(n)
    label = owner[first[order]] == owner[second[order]]
    pairs = Pairs(
        (first[order] * 2 + 5).astype(np.int32),
        (second[order] * 2 + 5).astype(np.int32),
        label,
        "made pairs",
        {},
    )
    del first, second, order

    measured = _best(lambda: ijb.verify(ids, units, pairs), repeats)
    seconds, check = None, ""
    if reference:
        from ._eval_reference import verify_templates

        wide = units.astype(np.float64)
        del units
        rates, _, seconds, _ = _best(
            lambda: verify_templates(ids, wide, pairs.first, pairs.second, label),
            1,
        )
        mine = measured[0].tar_by_far("reference")
        worst = max(abs(mine[far] - rate) for far, rate in rates.items())
        check = f"TAR differs by at most {worst * label.sum():.0f} of {label.sum()} same pairs"
    what = f"IJB-C 1:1, {n} pairs"
    return _row("ijb", what, measured, seconds, check)


def _megaface(reference, repeats, seed, scale):
    import numpy as np

    from ..evaluation.protocols import megaface

    n, probes, people = int(1_000_000 * scale), max(8, int(PROBES * scale)), PEOPLE
    rng = np.random.default_rng(seed)
    distractors = _normal(rng, n, 512)
    identity = np.arange(probes) % max(2, int(people * scale))
    queries = _normal(rng, probes, 512)
    queries += 0.8 * _normal(rng, people, 512)[identity]
    repeats = 1 if scale == 1 else repeats  # a turn takes half a minute and more
    seconds, check = None, ""
    if reference:
        units = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        out = np.empty((probes, 4096), np.float32)

        def bare():
            for start in range(0, n, 4096):
                block = distractors[start : start + 4096]
                np.matmul(units, block.T, out=out[:, : len(block)])

        seconds = _best(bare, repeats)[2]
        del out
    measured = _best(lambda: megaface.evaluate(queries, identity, distractors), repeats)
    result = measured[0]
    check = f"rank-1 {result.rate_by_rank()[1]:.4f}"
    if reference:
        check += f", {measured[2] / seconds:.3f} times the bare product"
    return _row("megaface", f"MegaFace, {n} distractors", measured, seconds, check)


class _TimeIsUp(Exception):
    """Raised when the time of the measurement is over."""


def _ifrt(reference, repeats, seed, scale):
    """Time the first of all pairs, for `SECONDS`."""
    import numpy as np

    from ..evaluation.protocols import ifrt
    from ..evaluation.scores import all_pairs, pair_scores

    n = max(200, int(FACES * scale))
    rng = np.random.default_rng(seed)
    identity = np.sort(rng.integers(0, int(n / FACES_EACH), n))
    group = identity % 4
    features = _normal(rng, n, 512)
    centres = _normal(rng, identity[-1] + 1, 512)
    for start in range(0, n, 1 << 14):
        features[start : start + (1 << 14)] += centres[identity[start : start + (1 << 14)]]
    del centres
    order = rng.permutation(n)
    identity, group = identity[order], group[order]
    every, marks = n * (n - 1) // 2, [(0, 0.0)]

    def progress(done):
        marks.append((marks[-1][0] + done, time.process_time()))
        if time.perf_counter() > limit:
            raise _TimeIsUp

    def ours():
        with contextlib.suppress(_TimeIsUp):
            ifrt.evaluate(features, identity, group, progress=progress)

    limit = time.perf_counter() + SECONDS
    measured, seconds = _best(ours, 1), None
    # The highest scores are collected at first and rarely change later: the rate is that of the
    # second half.
    done = marks[-1][0]
    half = next(mark for mark in marks[1:] if 2 * mark[0] >= done or mark == marks[-1])
    rest = (done - half[0], marks[-1][1] - half[1])
    rate = rest[0] / rest[1] if rest[0] else done / measured[2]
    hours = [(measured[2] + (pairs - done) / rate) / 3600 for pairs in (every, ALL_FACES**2 / 2)]
    held = pair_scores.memory_bytes(
        [every, *np.bincount(group).astype(object) ** 2 // 2], ifrt.DEFAULT_FARS
    )
    check = (
        f"{done / every:.2%} of {every:.2e} pairs, {rate:.2e} a second in their second half: all "
        f"in {hours[0]:.2f} h, {ALL_FACES} faces in {hours[1]:.1f} h; scores kept take at most "
        f"{held / 1e6:.0f} MB"
    )
    if reference:
        side = all_pairs.BLOCK
        a, b = _normal(rng, side, 512), _normal(rng, side, 512)  # a @ a.T would take half
        out = np.empty((side, side), np.float32)

        def bare():
            for _ in range(max(1, round(done / side**2))):
                np.matmul(a, b.T, out=out)

        seconds = _best(bare, 1)[2]
        check += f"; bare products {done / seconds:.2e} a second"
    return _row("ifrt", f"IFRT, {n} faces, the first pairs", measured, seconds, check)
