"""`gluonface bench ...`: the table of benchmarks. Each is a module of `gluonface.bench`."""

from ._commands import add_group

GROUP = True


def add_arguments(parser):
    """Add the benchmarks to `parser`."""
    add_group(
        parser,
        {
            "backbone": ("gluonface.bench.backbone", "images/s of a backbone and its forms"),
            "head": ("gluonface.bench.head", "time of a classifier step for every loss"),
            "data": ("gluonface.bench.data", "images/s of the record loader"),
            "eval": ("gluonface.bench.eval", "the evaluation protocols at full size"),
        },
    )
