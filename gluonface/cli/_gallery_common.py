"""What the commands about galleries share: opening the model that a gallery is of."""

from ._network_options import add_model

__all__ = ["add_model_argument", "open_gallery_reader"]


def add_model_argument(parser):
    """Add ``--model`` and the options of a reader, whose defaults are those of the gallery."""
    from .compare import add_reader_arguments

    add_model(parser, help="the model, if its files are not where they were: {}")
    add_reader_arguments(parser, "as the gallery's faces were; mtcnn or crops for a new one")
    parser.set_defaults(flip=None)  # that of the gallery


def open_gallery_reader(args, gallery, pictures):
    """Return (reader, calibration or None, why there is none); `gallery` may be None."""
    from ..errors import InputError
    from ..recognition import Calibration
    from ..recognition.model_calibration import find_calibration
    from ..weights import open_weights
    from .compare import open_reader

    about = None if gallery is None else gallery.about
    source = args.model or (about and about["model"].get("source"))
    if not source:
        raise InputError("--model is missing: which model is to embed the faces?")
    try:
        weights = open_weights(source)
    except InputError as error:
        if args.model:
            raise
        raise InputError(
            f"the model of {gallery.path} is not where it was: {error} Give --model"
        ) from None
    args.flip = args.flip or (about["flip"] if about else "sum")
    if about is not None:
        # Before anything is computed with it.
        gallery.require_model(weights.identity.to_dict(), args.flip)
        args.detector = args.detector or _detector_of(gallery)
    reader = open_reader(args, weights, pictures)
    path = getattr(args, "calibration", None)
    if path is None and about is not None and about["calibration"] is not None:
        calibration = Calibration.from_dict(about["calibration"], f"{gallery.path}: calibration")
        why = ""
    else:
        calibration, why = find_calibration(weights, args.flip, reader.input, path)
    reader.norms = calibration and calibration.norm
    if about is not None:
        gallery.require_model(reader.identity.to_dict(), args.flip, reader.input)
    return reader, calibration, why


def _detector_of(gallery):
    """Return the --detector that cut out the faces of a gallery."""
    from ..errors import InputError
    from ..recognition.faces import CROPS

    kind = gallery.about["input"]
    if kind == CROPS:
        return "none"
    if kind.startswith("mtcnn"):
        return "mtcnn"
    name = kind.split()[0]
    raise InputError(
        f"the faces in {gallery.path} were found by {kind!r}; give that detector's file: "
        f"--detector {name}:FILE.onnx"
    )
