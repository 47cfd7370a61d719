"""`gluonface import`: weights of other toolkits, read into a backbone of ours."""

import hashlib
import json
import pathlib
import sys

__all__ = ["add_arguments", "run"]

TOLERANCE = 1e-4  # of the largest number in the embeddings
HALF = 3e-2  # the same of a source that computes in half precision itself
CHECKED = 4  # images


def add_arguments(parser):
    """Add the options of `gluonface import` to `parser`."""
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="SOURCE",
        help="an MXNet checkpoint (prefix x for x-symbol.json + x-0000.params, x,12 for another "
        "epoch, or its folder), a PyTorch state dict of AdaFace, arcface_torch, cavaface, "
        "CVLface, EdgeFace, MixFaceNets or timm-face (.pth, .pt, .ckpt, .safetensors), an .onnx "
        "file, or a .params file that gluonface wrote",
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="see `gluonface models`")
    parser.add_argument("--out", required=True, metavar="FILE.params", help="file to write")
    parser.add_argument(
        "--color",
        choices=("RGB", "BGR"),
        help="the order of colours that the source takes, where neither a model card nor a "
        "configuration beside it says so; what is written always takes RGB",
    )
    parser.add_argument(
        "--prefix",
        metavar="TEXT",
        help="prefix of the network's tensors in a PyTorch file with several networks, such as "
        "model. or ema_model. (a moving average)",
    )
    parser.add_argument(
        "--output",
        "--layer",
        metavar="NAME",
        help="what gives the embedding: the output of an .onnx file that has several, or the layer "
        "of an MXNet checkpoint before the classifier, if it is not called fc1",
    )
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
    from ..deploy.export import write_together
    from ..weights import load_weights, open_weights
    from ..weights.card import make_card
    from ..weights.mxnet_params import params_bytes
    from ..weights.source import CHECKPOINT, ONNX, PARAMETERS

    model_zoo.BACKBONES.get(args.model)  # a wrong name is the first thing to say
    weights = open_weights(args.source, args.color, args.prefix, args.output)
    kind = weights.source.format
    size = weights.embedding_size_of(args.model)
    net = model_zoo.get_model(args.model, embedding_size=size, **weights.pixels, initialize=False)
    files = load_weights(net, weights)
    compare = {ONNX: _onnx_difference, CHECKPOINT: _difference}.get(kind, _no_difference)
    difference, why = compare(net, weights)
    # What another import or export of ours has written down about these weights.
    known = weights.card or {}
    origin = {"source": args.source, "format": kind, "sha256": files}
    if known.get("imported_from"):
        origin["before"] = known["imported_from"]
    card = make_card(
        net.cfg,
        net.cfg.embedding_size,
        {
            "color": net.cfg.color,
            "source_color": weights.color,
            "licence": args.licence or known.get("licence"),
            "training_data": args.training_data or known.get("training_data"),
            "imported_from": origin,
        },
    )
    parameters = net._collect_params_with_prefix()
    # The format of net.save_parameters.
    content = params_bytes({k: p.data().asnumpy() for k, p in parameters.items()})
    card["sha256"]["params"] = hashlib.sha256(content).hexdigest()
    document = (json.dumps(card, indent=2) + "\n").encode()
    write_together({out: content, out.with_suffix(".json"): document})
    sys.stdout.write(f"{net.cfg.name}, embedding {net.cfg.embedding_size}: wrote {out}\n")
    if difference is not None:
        sys.stdout.write(
            f"embeddings equal those of the source's own graph to {difference:.1e} relative "
            f"({CHECKED} random images)\n"
        )
    elif kind != PARAMETERS:
        sys.stdout.write(f"embeddings were not compared: {why}\n")
    if not card["licence"]:
        sys.stdout.write("the licence is not recorded; name it with --licence\n")
    return 0


def _no_difference(net, weights):
    return None, "the file holds no graph"


def _difference(net, weights):
    """Return the largest relative difference to the source's own graph; or None, and why."""
    from .._compat import mx
    from ..errors import DataError

    graph = weights.symbol
    # Some have no "arg:".
    arrays = {k.split(":", 1)[-1]: v for k, v in weights.content.arrays.items()}
    if any(array.dtype == "float16" for array in arrays.values()):
        return None, "MXNet computes in half precision on GPUs alone"
    images = mx.nd.random.uniform(0, 255, (CHECKED, 3, *net.cfg.input_size))
    fed = images if weights.color == net.cfg.color else images.flip(axis=1)
    wanted = {k: mx.nd.array(v, dtype=v.dtype) for k, v in arrays.items()}
    names, auxiliary = graph.list_arguments(), graph.list_auxiliary_states()
    missing = [name for name in (*names, *auxiliary) if name not in wanted and name != "data"]
    if missing:
        raise DataError(f"{weights.params} lacks {missing[0]!r}, which its symbol needs")
    try:
        executor = graph.bind(
            mx.cpu(),
            {**{k: wanted[k] for k in names if k in wanted}, "data": fed},
            aux_states={k: wanted[k] for k in auxiliary},
            grad_req="null",
        )
        theirs = executor.forward(is_train=False)[0].asnumpy()
    except mx.MXNetError as error:
        reason = (str(error).strip().splitlines() or ["it does not say why"])[-1]
        raise DataError(f"MXNet cannot run {weights.source.symbol}: {reason[:400]}") from None
    return _checked(net(images).asnumpy(), theirs, net, weights.source.symbol, TOLERANCE), ""


def _onnx_difference(net, weights):
    """Return the largest relative difference to what onnxruntime computes; or None, and why."""
    import numpy as np

    from .._compat import mx
    from ..deploy.engines import OnnxEngine
    from ..errors import DataError, MissingExtraError
    from ..weights.onnx.mending import is_unit_length, without_unit_length

    images = np.random.RandomState(0).randint(0, 256, (CHECKED, 3, *net.cfg.input_size))
    images = images.astype("float32")
    fed = images if weights.color == net.cfg.color else images[:, ::-1]
    theirs = fed if weights.inside else (fed - net.cfg.mean) * np.float32(net.cfg.scale)
    try:
        import onnx

        # Ours ends before a division by the length of the embedding.
        model = weights.onnx_bytes
        if is_unit_length(weights.onnx_parts.model):
            model = without_unit_length(onnx, weights.onnx_model).SerializeToString()
        engine = OnnxEngine(weights.params, gpu=False, model=model)
        theirs = np.concatenate([engine.run(image[None]) for image in theirs])
    except MissingExtraError:
        return None, "onnxruntime is not installed"
    except DataError as error:  # the import does not need it
        return None, str(error)
    half = any(array.dtype == "float16" for array in weights.content.arrays.values())
    ours = net(mx.nd.array(images)).asnumpy()
    return _checked(ours, theirs, net, weights, HALF if half else TOLERANCE), ""


def _checked(ours, theirs, net, source, tolerance):
    """Return the largest difference relative to the largest number; it must be small."""
    from ..errors import DataError

    difference = abs(ours - theirs).max() / max(abs(theirs).max(), 1e-12)
    if not difference <= tolerance:
        raise DataError(
            f"the imported {net.cfg.name} gives other embeddings than {source} "
            f"(difference {difference:.2g} relative, expected at most {tolerance:g}); "
            "nothing was written"
        )
    return float(difference)
