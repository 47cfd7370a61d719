"""`gluonface eval clusters`: how well clusters agree with people."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument(
        "found",
        metavar="FOUND.csv",
        help="what `gluonface cluster` wrote: columns image, face (may be absent) and cluster; "
        "without a cluster an image is one of its own",
    )
    parser.add_argument(
        "true", metavar="TRUE.csv", help="who is on each image: columns image and person"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")


def run(args):
    """Compare, print; return the exit status."""
    import logging
    import sys

    from ..evaluation.files.cluster_tables import match_tables, read_clusters
    from ..evaluation.metrics.clusters import cluster_measures
    from ..evaluation.results.tables import align_columns
    from ..files import write_json
    from ._data_common import check_outputs

    check_outputs(("--json", args.json))
    people, clusters, unknown = match_tables(
        read_clusters(args.found), read_clusters(args.true), args.true
    )
    if unknown:
        logging.getLogger(__name__).warning(
            "%d faces of %s are not in %s and do not count", unknown, args.found, args.true
        )
    found = cluster_measures(people, clusters)
    rows = [["", "precision", "recall", "F"]]
    for name, prefix in (("pairs", "pair"), ("BCubed", "bcubed")):
        values = [getattr(found, f"{prefix}_{part}") for part in ("precision", "recall", "f")]
        rows.append([name, *(f"{value:.4f}" for value in values)])
    sys.stdout.write(
        f"{align_columns(rows)}\n\nNMI {found.nmi:.4f}\n{found.images:,} images of "
        f"{found.people:,} people in {found.clusters:,} clusters, the largest of "
        f"{found.largest:,}\n"
    )
    if args.json:
        write_json(args.json, {**found.to_dict(), "not_in_true": unknown})
    return 0
