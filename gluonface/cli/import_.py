"""`gluonface import`: weights of other toolkits, read into a backbone of ours."""

import pathlib
import sys

__all__ = ["add_arguments", "run"]

TOLERANCE = 1e-4  # of the largest number in the embeddings
CHECKED = 4  # images
KINDS = {".onnx": "ONNX", ".pth": "PyTorch state dict", ".pt": "PyTorch state dict"}


def add_arguments(parser):
    """Add the options of `gluonface import` to `parser`."""
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="SOURCE",
        help="an MXNet checkpoint (prefix x for x-symbol.json + x-0000.params, or its folder), "
        "a PyTorch state dict of arcface_torch, cavaface or MixFaceNets (.pth, .pt), an .onnx "
        "file, or a .params file that gluonface wrote",
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
    if not out.parent.is_dir():
        raise InputError(f"--out is {args.out!r}, but there is no folder {out.parent}")

    from .. import model_zoo
    from ..deploy.card import make_card, read_card
    from ..deploy.params import params_bytes
    from ..files import atomic_write, sha256, write_json
    from ..model_zoo._weights import (
        find_checkpoint,
        load_weights,
        source_embedding_size,
        source_pixels,
    )

    model_zoo.BACKBONES.get(args.model)  # a wrong name is the first thing to say
    params, symbol = find_checkpoint(args.source)
    pixels, inside = source_pixels(args.source)
    net = model_zoo.get_model(
        args.model, embedding_size=source_embedding_size(args.source), **pixels
    )
    files = load_weights(net, args.source)
    if params.suffix == ".onnx":
        difference = _onnx_difference(net, params, inside)
    else:
        difference = _difference(net, params, symbol)
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
        why = "onnxruntime is not installed" if kind == "ONNX" else "the file holds no graph"
        sys.stdout.write(f"embeddings were not compared: {why}\n")
    if not card["licence"]:
        sys.stdout.write("the licence is not recorded; name it with --licence\n")
    return 0


def _difference(net, params, symbol):
    """Return the largest relative difference to the source's own graph, None without a graph."""
    if symbol is None:
        return None
    from .._compat import mx

    graph = mx.sym.load(str(symbol))  # its JSON and the arrays have been read and checked before
    internals = graph.get_internals()
    if "fc1_output" in internals.list_outputs():
        graph = internals["fc1_output"]
    arrays = mx.nd.load(str(params))
    images = mx.nd.random.uniform(0, 255, (CHECKED, 3, *net.cfg.input_size))
    wanted = {k.split(":", 1)[1]: v for k, v in arrays.items()}
    names, auxiliary = graph.list_arguments(), graph.list_auxiliary_states()
    executor = graph.bind(
        mx.cpu(),
        {**{k: wanted[k] for k in names if k in wanted}, "data": images},
        aux_states={k: wanted[k] for k in auxiliary},
        grad_req="null",
    )
    theirs = executor.forward(is_train=False)[0]
    ours = net(images)
    return _checked(net, ours.asnumpy(), theirs.asnumpy(), symbol)


def _onnx_difference(net, path, inside):
    """Return the largest relative difference to what onnxruntime computes, None without it."""
    try:
        import onnxruntime
    except ImportError:
        return None
    import numpy as np

    from .._compat import mx

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    images = np.random.RandomState(0).uniform(0, 255, (CHECKED, 3, *net.cfg.input_size))
    images = images.astype("float32")
    theirs = images if inside else (images - net.cfg.mean) * np.float32(net.cfg.scale)
    # One by one: many a file works for a batch of one only, whatever it says.
    theirs = [session.run(None, {name: image[None].astype("float32")})[0] for image in theirs]
    return _checked(net, net(mx.nd.array(images)).asnumpy(), np.concatenate(theirs), path)


def _checked(net, ours, theirs, source):
    """Return the largest difference relative to the largest number; it must be small."""
    from ..errors import DataError

    difference = abs(ours - theirs).max() / abs(theirs).max()
    if not difference <= TOLERANCE:
        raise DataError(
            f"the imported {net.cfg.name} gives other embeddings than {source} "
            f"(difference {difference:.2g} relative, expected at most {TOLERANCE:g}); "
            "nothing was written"
        )
    return float(difference)
