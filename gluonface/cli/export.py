"""`gluonface export`: a model as symbol + params + card, and as ONNX."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    source = "a run folder, an exported prefix (InsightFace's MXNet checkpoints included), or "
    source += "NAME:FILE.params"
    parser.add_argument("--model", required=True, metavar="SOURCE", help=source)
    parser.add_argument(
        "--out",
        metavar="PREFIX",
        help="writes PREFIX-symbol.json, PREFIX-0000.params and PREFIX.json, the model card",
    )
    parser.add_argument(
        "--centers",
        metavar="FILE.npy",
        help="write the class centres of the run folder or checkpoint, float32, one row per class; "
        "may be given without --out",
    )
    parser.add_argument(
        "--torch",
        metavar="FILE.safetensors",
        help="write the state dict that the network's class in AdaFace, arcface_torch, cavaface, "
        "EdgeFace or timm loads; may be given without --out",
    )
    parser.add_argument("--onnx", action="store_true", help="write PREFIX.onnx as well")
    parser.add_argument(
        "--fp16",
        action="store_true",
        help="write PREFIX.fp16.onnx as well: float32 images in and embeddings out, half precision "
        "inside. InsightFace's challenge tool refuses files with half-precision weights",
    )
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

    from ..deploy import export_source, export_torch
    from ..errors import InputError

    if args.int8 != (args.calibrate is not None):
        raise InputError(
            "--int8 needs --calibrate REC, records with faces of the kind that the network will see"
            if args.int8
            else "--calibrate is for --int8, which is not given"
        )
    if args.out is None:
        _without_out(args)
    if args.centers is not None:
        _export_centers(args.model, args.centers)
    if args.torch is not None:
        path = export_torch(args.model, args.torch, args.licence)
        sys.stdout.write(f"{path.stat().st_size:>12,} bytes  {path}\n")
    if args.out is None:
        return 0
    known = {"name": args.name, "training_data": args.training_data, "licence": args.licence}
    card = {key: value for key, value in known.items() if value}
    options = {"onnx": args.onnx, "fp16": args.fp16, "calibrate": args.calibrate}
    files = export_source(args.model, args.out, card=card, **options)
    for path in files.values():
        sys.stdout.write(f"{path.stat().st_size:>12,} bytes  {path}\n")
    return 0


def _without_out(args):
    """Raise InputError if something is asked for that needs --out."""
    from ..errors import InputError

    if args.centers is None and args.torch is None:
        raise InputError(
            "nothing to write: give --out PREFIX, --centers FILE.npy, or both; or --torch FILE"
        )
    names = ["onnx", "fp16", "int8", "name", "training_data"]
    names += ["licence"] if args.torch is None else []
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name)]
    if given:
        raise InputError(f"{', '.join(given)}: this is of the model, so give --out PREFIX as well")


def _export_centers(source, path):
    """Write the class centres of a run, and print file and shape."""
    import pathlib
    import sys

    from ..errors import InputError
    from ..training.checkpoint.class_rows import export_centers

    path = pathlib.Path(path).expanduser()
    if path.suffix != ".npy" or path.is_dir():
        raise InputError(f"--centers {path}: a file that ends in .npy was expected")
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = export_centers(source, path)
    size = " x ".join(map(str, shape))
    sys.stdout.write(f"{path.stat().st_size:>12,} bytes  {path}  {size} float32\n")
