"""`gluonface data ...`: the table of the data commands."""

from ._commands import add_group

GROUP = True


def add_arguments(parser):
    """Add the data commands to `parser`."""
    add_group(
        parser,
        {
            "pack": ("gluonface.cli.data_pack", "make a training set of folders, a list or a set"),
            "pack-pairs": (
                "gluonface.cli.data_pack_pairs",
                "make a verification pack of a list of pairs",
            ),
            "unpack": ("gluonface.cli.data_unpack", "write the images of a set or pack as files"),
            "subset": ("gluonface.cli.data_subset", "keep some identities and images of a set"),
            "merge": ("gluonface.cli.data_merge", "make one training set of several"),
            "shuffle": ("gluonface.cli.data_shuffle", "write a set in another order"),
            "inspect": ("gluonface.cli.data_inspect", "what is in a set or a verification pack"),
            "verify": ("gluonface.cli.data_verify", "check sets and packs; status 1 if wrong"),
            "align": ("gluonface.cli.data_align", "cut the aligned faces out of photographs"),
            "catalog": ("gluonface.cli.data_catalog", "public sets: counts, licences, sources"),
            "clean": ("gluonface.cli.data_clean", "leave out images far from their class centre"),
            "synthesize": (
                "gluonface.cli.data_synthesize",
                "draw a synthetic face set: training records and a verification pack",
            ),
        },
    )
