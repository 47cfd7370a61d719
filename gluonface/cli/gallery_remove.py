"""`gluonface gallery remove`: remove a person from a gallery."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument("gallery", metavar="G", help="the gallery")
    parser.add_argument("name", metavar="NAME", help="the person")


def run(args):
    """Remove, print; return the exit status."""
    import sys

    from ..recognition.gallery import Gallery

    faces = Gallery.open(args.gallery).remove(args.name)
    sys.stdout.write(
        f"{args.name} and {faces:,} faces were removed from the file; backups and crops are yours "
        "to delete\n"
    )
    return 0
