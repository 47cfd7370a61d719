"""`gluonface gallery list`: who is in a gallery, and of which model it is."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument("gallery", metavar="G", help="the gallery")
    parser.add_argument("--json", metavar="FILE", help="write the list to FILE")


def run(args):
    """Print the people; return the exit status."""
    import sys

    from ..files import write_json
    from ..recognition.gallery import Gallery, described
    from ._data_common import check_outputs, print_rows
    from ._tables import aligned

    check_outputs(("--json", args.json))
    gallery = Gallery.open(args.gallery)
    about, counts = gallery.about, gallery.counts()
    print_rows(
        [
            ("model", described(about["model"])),
            ("compared", f"flip {about['flip']}, {about['input']}, template {about['template']}"),
            ("people", f"{len(counts):,}"),
            ("faces", f"{len(gallery):,}"),
            ("checked", "yes" if about["check"] else f"no: gluonface gallery check {args.gallery}"),
        ]
    )
    if counts:
        rows = [("name", "faces"), *((name, f"{count:,}") for name, count in counts.items())]
        sys.stdout.write("\n" + "\n".join(aligned(rows, right={1})) + "\n")
    if args.json:
        write_json(args.json, {**about, "people": counts})
    return 0
