"""`gluonface bench ...`: the benchmarks, each a module of `gluonface.bench`."""

from ._commands import add_group

GROUP = True


def add_arguments(parser):
    """Add the benchmarks to `parser`."""
    add_group(
        parser,
        {
            "backbone": ("gluonface.bench.backbone", "images/s of a backbone with each engine"),
            "head": ("gluonface.bench.head", "time of a step of the classifier, for every loss"),
            "data": ("gluonface.bench.data", "images/s of the record loader"),
            "eval": ("gluonface.bench.eval", "the evaluation protocols at full size"),
            "search": ("gluonface.bench.search", "the exact search of galleries"),
        },
    )
