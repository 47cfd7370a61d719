"""`gluonface data ...`: the table of the data commands."""

from ._commands import add_group

GROUP = True


def add_arguments(parser):
    """Add the data commands to `parser`."""
    add_group(
        parser,
        {
            "synthesize": (
                "gluonface.cli.data_synthesize",
                "draw a made-up face set as training records and a verification pack",
            ),
        },
    )
