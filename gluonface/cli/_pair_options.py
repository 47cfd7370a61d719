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
    group.add_argument("--protocol", metavar="FF|FP", help="of CFP")
    group.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="folds: stretches of the list, or, where these would not all hold both kinds, parts "
        "of the same and of the different pairs (default: those that the pairs have, or 10)",
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
        help="which column of a table is first, second, same or fold, where names do not tell",
    )
    group.add_argument("--split", metavar="NAME", help="of an Arrow folder with several")
    group.add_argument(
        "--color",
        metavar="RGB|BGR",
        help="the channels of decoded pixels, if the file does not tell",
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
