"""`gluonface data pack`: a training set of faces in any form."""

from ._data_common import (
    add_image_options,
    add_source_options,
    add_writing_options,
    keywords,
    report,
    source_options,
    writing_options,
)

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="+",
        help="a folder with a folder of images per person, a list file, a zip or tar archive, "
        "WebDataset shards (`x-{0000..0099}.tar`), Parquet, Arrow, LMDB, TFRecord, or a record set "
        "to write again without what is broken; several files are one set",
    )
    parser.add_argument("out", metavar="OUT", help="the folder of the training set")
    add_image_options(parser, "are left out")
    parser.add_argument(
        "--min-images", type=int, default=1, metavar="N", help="leave out people with fewer images"
    )
    add_source_options(parser)
    add_writing_options(parser)


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools.write_records import pack

    result = pack(
        args.source,
        args.out,
        **keywords(args, "size", "resize", "quality", "min_images"),
        **source_options(args),
        **writing_options(args),
    )
    return report(args, result)
