"""`gluonface data pack`: a training set of folders of people, a list file or another set."""

from ._data_common import add_image_options, add_writing_options, keywords, report, writing_options

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a folder with a folder of images per person, a list file (lines `path<tab>label`, or "
        "im2rec's), or a record set to write again without what is broken",
    )
    parser.add_argument("out", metavar="OUT", help="the folder of the training set")
    add_image_options(parser, "are left out")
    parser.add_argument(
        "--min-images", type=int, default=1, metavar="N", help="leave out people with fewer images"
    )
    parser.add_argument("--root", metavar="DIR", help="where the paths of a list file begin")
    add_writing_options(parser)


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools.write_records import pack

    result = pack(
        args.source,
        args.out,
        **keywords(args, "size", "resize", "quality", "min_images", "root"),
        **writing_options(args),
    )
    return report(args, result)
