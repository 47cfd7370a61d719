"""`gluonface gallery ...`: the table of the gallery commands."""

from ._commands import add_group

GROUP = True


def add_arguments(parser):
    """Add the gallery commands to `parser`."""
    add_group(
        parser,
        {
            "enrol": ("gluonface.cli.gallery_enrol", "add the faces of people to a gallery"),
            "list": ("gluonface.cli.gallery_list", "who is in a gallery, and of which model it is"),
            "remove": ("gluonface.cli.gallery_remove", "remove a person; what was stored is wiped"),
            "rename": ("gluonface.cli.gallery_rename", "give a person another name"),
            "check": (
                "gluonface.cli.gallery_check",
                "measure how often strangers would be named, and list people who may be one",
            ),
            "export": ("gluonface.cli.gallery_export", "write the embeddings of a gallery as .npz"),
        },
    )
