"""`gluonface gallery check`: how often strangers would be named, and people who may be one."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument("gallery", metavar="G", help="the gallery")
    parser.add_argument(
        "--fpir",
        type=float,
        nargs="+",
        metavar="F",
        help="false-positive identification rates, as fractions (if not given, those of 0.1, 0.01 "
        "and 0.001 that the gallery is large enough for)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the result to FILE")


def run(args):
    """Measure, store the thresholds in the gallery, print; return the exit status."""
    import sys

    from ..evaluation.results.tables import align_columns, rate_text
    from ..files import write_json
    from ..recognition.check import check_gallery
    from ..recognition.gallery import Gallery
    from ._data_common import check_outputs

    check_outputs(("--json", args.json))
    gallery = Gallery.open(args.gallery)
    found = check_gallery(gallery, args.fpir)
    gallery.set_about("check", found.to_dict())
    write = sys.stdout.write
    if found.duplicates:
        write("perhaps one person under two names:\n")
        for one, other, cosine in found.duplicates:
            write(f"  {one}, {other}: {cosine:.3f}\n")
        write("\n")
    rows = [["FPIR", "threshold", "named strangers", "of searches", "measured on"]]
    for point in found.points:
        known = point.source == "gallery"
        rule = "rule of 30 kept" if point.support == "30" else "rule of 3: an estimate"
        where = "this gallery" if known else "its calibration, at FMR FPIR / people"
        rows.append(
            [
                rate_text(point.fpir),
                f"{point.threshold:.3f}",
                f"{point.over:,}" if known else "-",
                f"{point.searches:,}" if known else "-",
                f"{where} ({found.people:,} people; {rule})",
            ]
        )
    write(align_columns(rows) + "\n")
    for point in found.points:
        if point.threshold_without is not None and point.threshold_without != point.threshold:
            write(
                f"FPIR {rate_text(point.fpir)}: without the people above who may be one, the "
                f"threshold would be {point.threshold_without:.3f}\n"
            )
    if args.json:
        write_json(args.json, found.to_dict())
    return 0
