"""`gluonface data align`: aligned crops of the faces in photographs."""

from ._data_common import (
    add_source_options,
    check_outputs,
    keywords,
    print_rows,
    source_options,
)

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument(
        "photos",
        metavar="PHOTOS",
        nargs="+",
        help="a folder of photographs, in folders; or photographs in any form that `gluonface data "
        "pack` takes",
    )
    parser.add_argument("out", metavar="OUT", help="the folder for the crops and report.csv")
    parser.add_argument(
        "--landmarks",
        metavar="FILE",
        help="landmarks of the photographs, lines `PHOTO x1 y1 ... x5 y5` or .json; if not given, "
        "those of the list (DeepGlint's), else --detector finds the faces",
    )
    parser.add_argument(
        "--detector",
        metavar="D",
        help="mtcnn (pip install 'gluonface[align]'), yunet:FILE.onnx or scrfd:FILE.onnx (if not "
        "given, the landmarks of the list, else mtcnn)",
    )
    parser.add_argument(
        "--turn",
        action="store_true",
        help="look for faces with the photograph turned by 90, 180 and 270 degrees as well",
    )
    parser.add_argument(
        "--several",
        choices=("largest", "skip", "all"),
        default="largest",
        help="of a photograph with several faces cut out the largest, none, or all",
    )
    parser.add_argument(
        "--confidence", type=float, default=0.9, help="of the detector, 0 to 1, at least"
    )
    parser.add_argument(
        "--smallest", type=int, default=40, metavar="PIXELS", help="smallest face to look for"
    )
    parser.add_argument("--size", type=int, default=112, help="height and width of the crops")
    parser.add_argument(
        "--quality", type=int, default=95, help="JPEG quality; 101 writes PNG, which loses nothing"
    )
    add_source_options(parser)
    parser.add_argument("--workers", type=int, help="threads (if not given, one a core)")
    parser.add_argument("--json", metavar="FILE", help="write the counts to FILE")


def run(args):
    """Run the command and return the exit status."""
    from ..data.detectors import Turning, open_detector
    from ..data.tools.align import align_photos
    from ..errors import InputError
    from ..files import write_json

    check_outputs(("--json", args.json))
    detector = None
    if args.landmarks is not None and (args.detector or args.turn):
        raise InputError("--landmarks says where the faces are; leave out --detector and --turn")
    if args.detector or args.turn:
        detector = open_detector(args.detector or "mtcnn", args.smallest)
        if detector is None:
            raise InputError(
                "--detector none: to align photographs, give a detector or --landmarks"
            )
        detector = Turning(detector) if args.turn else detector
    counts = align_photos(
        args.photos[0] if len(args.photos) == 1 else args.photos,
        args.out,
        detector=detector,
        smallest=args.smallest,
        **source_options(args),
        **keywords(args, "landmarks", "several", "confidence", "size", "quality", "workers"),
    )
    rows = [(n, f"{k:,}") for n, k in counts.items() if k or n in ("photos", "crops")]
    print_rows([*rows, ("report", f"{args.out}/report.csv")])
    if args.json:
        write_json(args.json, counts)
    return 0
