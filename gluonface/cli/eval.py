"""`gluonface eval ...`: the table of the evaluation protocols."""

from ._commands import add_group

GROUP = True


def add_arguments(parser):
    """Add the protocols to `parser`."""
    add_group(
        parser,
        {
            "verification": (
                "gluonface.cli.eval_verification",
                "accuracy, TAR at FAR and ROC on verification packs (LFW and the like)",
            ),
        },
    )
