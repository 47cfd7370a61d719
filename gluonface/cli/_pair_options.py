"""The options that say how pairs are to be read, and the groups of pairs."""

__all__ = ["add_pair_options", "groups_of_stored", "is_file", "open_pairs_of", "pair_options"]


def add_pair_options(parser):
    """Add the options of `gluonface.data.open_pairs`, by the same names."""
    group = parser.add_argument_group("how the pairs are read")
    group.add_argument(
        "--root",
        metavar="DIR",
        help="the folder, zip or tar to which listed paths are relative (default: the list's own "
        "folder); for LFW's form the one of NAME/NAME_0001.jpg",
    )
    group.add_argument(
        "--protocol", metavar="FF|FP", help="protocol of CFP: frontal-frontal or frontal-profile"
    )
    group.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="number of folds: consecutive parts of the list; if a part would have pairs of one "
        "kind only, each fold gets its share of both kinds (default: those of the pairs, or 10)",
    )
    group.add_argument(
        "--group",
        nargs="+",
        metavar="COLUMN",
        help="the column of a table with the pairs' groups, or the two with the images'",
    )
    group.add_argument("--strip", metavar="PREFIX", help="a prefix to cut off listed paths")
    group.add_argument(
        "--columns",
        nargs="+",
        metavar="KEY=NAME",
        help="names of the columns first, second, same and fold, if a table has other names",
    )
    group.add_argument(
        "--split", metavar="NAME", help="the split of an Arrow folder that has several"
    )
    group.add_argument(
        "--color",
        metavar="RGB|BGR",
        help="order of the channels of decoded pixels, if the file does not contain it",
    )


def pair_options(args):
    """Return the options as keyword arguments of `open_pairs`."""
    names = ("root", "protocol", "folds", "strip", "columns", "split", "color")
    group = args.group
    if group is not None and len(group) == 1:
        group = group[0]
    return {**{name: getattr(args, name) for name in names}, "group": group}


def is_file(groups):
    """Return whether the value of ``--groups`` is a file."""
    return len(groups) == 1 and groups[0].lower().endswith((".csv", ".tsv", ".txt"))


def open_pairs_of(args, path):
    """Return the pairs at a path, or of several paths, with the groups that ``--groups`` asks for.

    InputError when there are none.
    """
    from ..data import open_pairs
    from ..data.sources.pairs.group_file import read_groups
    from ..errors import InputError

    options = pair_options(args)
    columns = bool(args.groups) and not is_file(args.groups)
    if columns:
        if options["group"] is not None:
            raise InputError("--group and --groups name columns; give one of them")
        options["group"] = args.groups
    pairs = open_pairs(path, **options)
    pairs.resize = pairs.resize or args.resize
    if args.groups and not columns:
        pairs.groups, pairs.group_lists = read_groups(args.groups[0], pairs), False
    if args.groups is not None and pairs.groups is None:
        more = [note for note in pairs.notes if "groups" in note]
        raise InputError(
            f"--groups: {pairs.name} has no groups{': ' + more[0] if more else ''}; name their "
            "column, or a .csv file with the groups of the pairs, images or people"
        )
    return pairs


def groups_of_stored(args, count):
    """Return the groups of stored outputs of so many pairs; None if they are not asked for."""
    from ..data.sources.pairs.group_file import read_pair_groups
    from ..errors import InputError

    if args.groups is None:
        return None
    if not args.groups:
        raise InputError("--groups: stored outputs have no groups; name a .csv file of them")
    return read_pair_groups(args.groups[0], count)
