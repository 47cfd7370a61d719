"""`gluonface export`: a model as symbol + params + card, and as ONNX."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument(
        "--model",
        required=True,
        metavar="SOURCE",
        help="a run folder, an exported prefix (InsightFace's MXNet checkpoints included), or "
        "NAME:FILE.params",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="PREFIX",
        help="writes PREFIX-symbol.json, PREFIX-0000.params and PREFIX.json, the model card",
    )
    parser.add_argument("--onnx", action="store_true", help="write PREFIX.onnx as well")
    parser.add_argument(
        "--int8",
        action="store_true",
        help="write PREFIX.int8.onnx as well, the network in 8 bits; needs --calibrate",
    )
    parser.add_argument(
        "--calibrate",
        metavar="REC",
        help="training records (train.rec or its folder) with faces of the kind that the network "
        "will see; 256 of them give the ranges of the activations for --int8",
    )
    parser.add_argument("--name", help="name of the model, for the card")
    parser.add_argument("--training-data", metavar="TEXT", help="for the card")
    parser.add_argument("--licence", metavar="TEXT", help="for the card")


def run(args):
    """Export, print the files written and their sizes; return the exit status."""
    import sys

    from ..deploy import export_source
    from ..errors import InputError

    if args.int8 != (args.calibrate is not None):
        raise InputError(
            "--int8 needs --calibrate REC, records with faces of the kind that the network will see"
            if args.int8
            else "--calibrate is for --int8, which is not given"
        )
    known = {"name": args.name, "training_data": args.training_data, "licence": args.licence}
    card = {key: value for key, value in known.items() if value}
    files = export_source(args.model, args.out, onnx=args.onnx, card=card, calibrate=args.calibrate)
    for path in files.values():
        sys.stdout.write(f"{path.stat().st_size:>12,} bytes  {path}\n")
    return 0
