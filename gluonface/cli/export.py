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
    parser.add_argument("--name", help="name of the model, for the card")
    parser.add_argument("--training-data", metavar="TEXT", help="for the card")
    parser.add_argument("--licence", metavar="TEXT", help="for the card")


def run(args):
    """Export, print the files written and their sizes; return the exit status."""
    import sys

    from ..deploy import export_source

    known = {"name": args.name, "training_data": args.training_data, "licence": args.licence}
    card = {key: value for key, value in known.items() if value}
    files = export_source(args.model, args.out, onnx=args.onnx, card=card)
    for path in files.values():
        sys.stdout.write(f"{path.stat().st_size:>12,} bytes  {path}\n")
    return 0
