"""`gluonface import`: weights of other toolkits, read into a backbone of ours."""

import pathlib
import sys

__all__ = ["add_arguments", "run"]

TOLERANCE = 1e-4  # of the largest number in the embeddings
HALF = 3e-2  # the same of a source that computes in half precision itself
CHECKED = 4  # images
KINDS = {
    ".onnx": "ONNX",
    **dict.fromkeys((".pth", ".pt", ".ckpt"), "PyTorch state dict"),
    ".safetensors": "safetensors",
}


def add_arguments(parser):
    """Add the options of `gluonface import` to `parser`."""
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="SOURCE",
        help="an MXNet checkpoint (prefix x for x-symbol.json + x-0000.params, x,12 for another "
        "epoch, or its folder), a PyTorch state dict of arcface_torch, cavaface or MixFaceNets "
        "(.pth, .pt, .ckpt, .safetensors), an .onnx file, or a .params file that gluonface wrote",
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="see `gluonface models`")
    parser.add_argument("--out", required=True, metavar="FILE.params", help="file to write")
    parser.add_argument("--licence", help="licence of the weights, for the model card")
    parser.add_argument("--training-data", help="what they were trained on, for the model card")


def run(args):
    """Import, compare with the source's own graph, and write the weights and their card."""
    from ..errors import InputError

    out = pathlib.Path(args.out).expanduser()
    if out.suffix != ".params":
        raise InputError(f"--out is {args.out!r}; expected a file name that ends in .params")
    if out.is_dir():
        raise InputError(f"--out is {args.out!r}, which is a folder; name a file in it")
    if not out.parent.is_dir():
        raise InputError(f"--out is {args.out!r}, but there is no folder {out.parent}")

    from .. import model_zoo
    from ..files import atomic_write, sha256, write_json
    from ..weights.card import make_card, read_card
    from ..weights.load import find_checkpoint, load_weights, source_embedding_size, source_pixels
    from ..weights.mxnet_params import params_bytes

    model_zoo.BACKBONES.get(args.model)  # a wrong name is the first thing to say
    params, symbol = find_checkpoint(args.source)
    pixels, inside = source_pixels(args.source)
    net = model_zoo.get_model(
        args.model, embedding_size=source_embedding_size(args.source), **pixels
    )
    files = load_weights(net, args.source)
    if params.suffix == ".onnx":
        difference, why = _onnx_difference(net, params, inside)
    else:
        difference, why = _difference(net, params, symbol)
    # What another import or export of ours has written down about these weights.
    known = read_card(params.with_suffix(".json")) or {}
    kind = KINDS.get(params.suffix) or ("MXNet checkpoint" if symbol else "parameters")
    origin = {"source": str(args.source), "format": kind, "sha256": files}
    if known.get("imported_from"):
        origin["before"] = known["imported_from"]
    card = make_card(
        net.cfg,
        net.cfg.embedding_size,
        {
            "licence": args.licence or known.get("licence"),
            "training_data": args.training_data or known.get("training_data"),
            "imported_from": origin,
        },
    )
    parameters = net._collect_params_with_prefix()
    with atomic_write(out) as file:  # the format of net.save_parameters
        file.write(params_bytes({k: p.data().asnumpy() for k, p in parameters.items()}))
    card["sha256"]["params"] = sha256(out)
    write_json(out.with_suffix(".json"), card)
    sys.stdout.write(f"{net.cfg.name}, embedding {net.cfg.embedding_size}: wrote {out}\n")
    if difference is not None:
        sys.stdout.write(
            f"embeddings equal those of the source's own graph to {difference:.1e} relative "
            f"({CHECKED} random images)\n"
        )
    elif kind != "parameters":
        sys.stdout.write(f"embeddings were not compared: {why}\n")
    if not card["licence"]:
        sys.stdout.write("the licence is not recorded; name it with --licence\n")
    return 0


def _difference(net, params, symbol):
    """Return the largest relative difference to the source's own graph; or None, and why."""
    if symbol is None:
        return None, "the file holds no graph"
    from .._compat import mx

    graph = mx.sym.load(str(symbol))  # its JSON and the arrays have been read and checked before
    internals = graph.get_internals()
    if "fc1_output" in internals.list_outputs():
        graph = internals["fc1_output"]
    arrays = mx.nd.load(str(params))
    images = mx.nd.random.uniform(0, 255, (CHECKED, 3, *net.cfg.input_size))
    wanted = {k.split(":", 1)[-1]: v for k, v in arrays.items()}  # some have no "arg:"
    if any(array.dtype.__name__ == "float16" for array in wanted.values()):
        return None, "MXNet computes in half precision on GPUs alone"
    names, auxiliary = graph.list_arguments(), graph.list_auxiliary_states()
    executor = graph.bind(
        mx.cpu(),
        {**{k: wanted[k] for k in names if k in wanted}, "data": images},
        aux_states={k: wanted[k] for k in auxiliary},
        grad_req="null",
    )
    theirs = executor.forward(is_train=False)[0]
    ours = net(images)
    return _checked(net, ours.asnumpy(), theirs.asnumpy(), symbol, TOLERANCE), ""


def _onnx_difference(net, path, inside):
    """Return the largest relative difference to what onnxruntime computes; or None, and why."""
    try:
        import onnxruntime
    except ImportError:
        return None, "onnxruntime is not installed"
    import numpy as np
    import onnx

    from .._compat import mx

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no warnings of what it leaves out
    providers = ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its errors have no common base, and the import does not need it
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return None, f"onnxruntime does not run the file: {reason}"
    (first,) = session.get_inputs()
    images = np.random.RandomState(0).uniform(0, 255, (CHECKED, 3, *net.cfg.input_size))
    images = images.astype("float32")
    theirs = images if inside else (images - net.cfg.mean) * np.float32(net.cfg.scale)
    theirs = theirs.astype("float16" if "float16" in first.type else "float32")
    # One by one: many a file works for a batch of one only, whatever it says.
    theirs = [session.run(None, {first.name: image[None]})[0] for image in theirs]
    graph = onnx.load_model(str(path), load_external_data=False).graph
    half = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in graph.initializer)
    theirs = np.concatenate(theirs).astype("float32")
    ours = net(mx.nd.array(images)).asnumpy()
    return _checked(net, ours, theirs, path, HALF if half else TOLERANCE), ""


def _checked(net, ours, theirs, source, tolerance):
    """Return the largest difference relative to the largest number; it must be small."""
    from ..errors import DataError

    difference = abs(ours - theirs).max() / abs(theirs).max()
    if not difference <= tolerance:
        raise DataError(
            f"the imported {net.cfg.name} gives other embeddings than {source} "
            f"(difference {difference:.2g} relative, expected at most {tolerance:g}); "
            "nothing was written"
        )
    return float(difference)
