"""How a network runs: options of the commands that embed."""

__all__ = ["add_color", "add_model", "add_network_options"]

PRECISIONS = ("float32", "bfloat16", "int8")
HELP = (
    "of the network on a CPU. bfloat16: OpenVINO's, faster where the CPU has AMX or AVX512-BF16; "
    "int8: the PREFIX.int8.onnx beside the model, which `gluonface export --int8` writes"
)


def add_model(parser, required=False, help="{}"):
    """Add ``--model`` to `parser`; ``{}`` in its help stands for what a SOURCE may be."""
    what = "a run folder, an exported prefix, a .onnx file, or NAME:FILE.params"
    parser.add_argument("--model", required=required, metavar="SOURCE", help=help.format(what))


def add_color(parser, option="--color"):
    """Add ``--color`` to `parser`, under another name where that is of pairs."""
    parser.add_argument(
        option,
        choices=("RGB", "BGR"),
        help="the order of colours that the network takes, whatever its files say",
    )


def add_network_options(parser, color="--color"):
    """Add ``--precision`` and ``--color``, or what else it is to be called, to `parser`."""
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help=HELP)
    add_color(parser, color)
