"""`gluonface compare`: one person or two, and how sure."""

from ._network_options import add_model
from ._threshold_options import add_threshold_options

__all__ = ["add_arguments", "add_reader_arguments", "open_reader", "run"]


def add_reader_arguments(parser, detector="faces are found by mtcnn; crops are taken as they are"):
    """Add the options by which faces get from pictures to embeddings."""
    parser.add_argument(
        "--detector",
        metavar="D",
        help=f"mtcnn, yunet:FILE.onnx, scrfd:FILE.onnx, or none: the pictures are aligned crops "
        f"of 112x112 (if not given, {detector})",
    )
    parser.add_argument(
        "--turn",
        action="store_true",
        help="look for faces with the photograph turned by 90, 180 and 270 degrees as well",
    )
    parser.add_argument(
        "--flip",
        choices=("sum", "none"),
        default="sum",
        help="add the mirrored image's output, or leave it out",
    )
    parser.add_argument(
        "--smallest", type=int, default=20, metavar="PIXELS", help="smallest face to look for"
    )
    parser.add_argument("--ctx", metavar="DEVICE", help="cpu, gpu, gpu1 (a GPU if there is one)")


def open_reader(args, weights, pictures=()):
    """Return the `FaceReader` of the options.

    Without --detector, pictures that are all as large as a crop are crops; else mtcnn finds the
    faces.
    """
    from ..data import images
    from ..errors import DataError
    from ..recognition import FaceReader
    from ..recognition.faces import read_bytes

    detector, sizes = args.detector, []
    for picture in pictures:  # what is no picture is an error before any network is loaded
        data = read_bytes(picture)
        defect = images.find_defect(data)
        if defect is not None:
            raise DataError(f"{picture} cannot be read as a picture: {defect}")
        sizes.append(images.size(data))
    if detector is None:
        detector = "none" if sizes and all(size == (112, 112) for size in sizes) else "mtcnn"
    return FaceReader(
        weights, detector, args.flip, turn=args.turn, smallest=args.smallest, ctx=args.ctx
    )


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument("a", metavar="A", help="a photograph, or an aligned crop of 112x112")
    parser.add_argument("b", metavar="B", help="the other one")
    add_model(parser, required=True)
    add_threshold_options(
        parser,
        fmr="decide at this false match rate of the calibration (if not given, the smallest that "
        "30 errors support)",
        threshold="decide at your own threshold, a cosine: its error rates are not known",
    )
    parser.add_argument(
        "--prior",
        type=float,
        metavar="P",
        help="how likely it was that it is one person, 0 to 1, before the pictures were compared: "
        "adds how likely it is now",
    )
    parser.add_argument(
        "--several",
        choices=("largest", "refuse"),
        default="largest",
        help="of a picture with several faces compare the largest, or refuse the picture",
    )
    add_reader_arguments(parser)
    parser.add_argument("--draw", metavar="OUT.png", help="write both pictures with their faces")
    parser.add_argument("--json", metavar="FILE", help="write all figures as JSON")
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help="exit with 3 if they are two people or there is no decision, for scripts",
    )


def run(args):
    """Compare, print, write; return the exit status."""
    import sys

    from ..errors import InputError
    from ..files import write_json
    from ..recognition.comparison import compare
    from ..recognition.model_calibration import find_calibration
    from ..weights import open_weights
    from ._data_common import check_outputs

    check_outputs(("--json", args.json), ("--draw", args.draw))
    if args.draw and not args.draw.lower().endswith(".png"):
        raise InputError(f"--draw is {args.draw}; expected a name that ends in .png")
    if args.threshold is not None and args.calibration:
        raise InputError("--threshold needs no --calibration; leave one of them out")
    weights = open_weights(args.model)
    reader = open_reader(args, weights, (args.a, args.b))
    calibration, why = None, ""
    if args.threshold is None:
        calibration, why = find_calibration(weights, args.flip, reader.input, args.calibration)
    result = compare(
        reader,
        args.a,
        args.b,
        calibration,
        args.fmr,
        args.threshold,
        args.prior,
        args.several,
        why,
    )
    sys.stdout.write(f"{result}\n")
    if args.json:
        write_json(args.json, result.to_dict())
    if args.draw:
        _draw(args, result)
    return 3 if args.exit_code and not result.same else 0


def _draw(args, result):
    """Write both pictures side by side with their faces marked."""
    from ..data import images
    from ..files import atomic_write
    from ..recognition.comparison import odds_text
    from ..recognition.draw import beside, draw_faces
    from ..recognition.faces import read_photo

    verdict = {True: "yes", False: "no", None: ""}[result.same]
    words = {"yes": "same person", "no": "not above the threshold", "": "no decision"}[verdict]
    if result.decision is not None:
        words += (
            "\nlikelihood ratio " + odds_text(result.decision, result.calibration).split(" (")[0]
        )
    sides = []
    for path, faces in zip((args.a, args.b), result.faces):
        texts = [f"{result.score:.3f} {words}", *[""] * (len(faces) - 1)]
        sides.append(draw_faces(read_photo(path)[0], faces, texts, verdict))
    with atomic_write(args.draw) as file:
        file.write(images.encode(beside(*sides), 101))
