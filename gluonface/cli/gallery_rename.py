"""`gluonface gallery rename`: give a person of a gallery another name."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument("gallery", metavar="G", help="the gallery")
    parser.add_argument("old", metavar="OLD", help="the present name")
    parser.add_argument("new", metavar="NEW", help="the new name, which nobody in it may have")


def run(args):
    """Rename, print; return the exit status."""
    import sys

    from ..recognition.gallery import Gallery

    Gallery.open(args.gallery).rename(args.old, args.new)
    sys.stdout.write(f"{args.old} is {args.new} now\n")
    return 0
