"""Above which cosine two faces count as one person: options of the commands that decide."""

__all__ = ["add_threshold_options"]


def add_threshold_options(parser, fmr, threshold):
    """Add ``--calibration``, and ``--fmr`` or ``--threshold`` with these texts of help."""
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        help="what `gluonface calibrate` wrote (if not given, that of the model card)",
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--fmr", type=float, metavar="F", help=fmr)
    limit.add_argument("--threshold", type=float, metavar="T", help=threshold)
