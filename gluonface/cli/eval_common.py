"""What the protocols of `gluonface eval` share: options, models, caches, output."""

from ._network_options import add_color

__all__ = [
    "add_arguments",
    "add_fpirs",
    "add_model_arguments",
    "card_of",
    "check_one_origin",
    "check_origin",
    "command",
    "compare_options",
    "embed",
    "finish",
    "flip_of",
    "image_sides",
    "make_parent",
    "merge_views",
    "open_model",
    "pair_bar",
    "progress_bar",
    "score_precision",
    "search_sides",
    "unused_name",
    "uses_stored_features",
]

LAYER = (
    "the layer of an MXNet checkpoint that gives the embedding, if it is not called fc1 and a "
    "classifier follows it; for an .onnx file with several outputs, the output to use"
)

FLIPS = ("sum", "none")


def add_model_arguments(parser, images):
    """Add the options for embedding images with a model; `images` explains ``--images``."""
    group = parser.add_argument_group("from images")
    group.add_argument(
        "--model",
        metavar="SOURCE",
        help="a run folder, an exported prefix, a .onnx file, NAME:FILE.params or NAME:untrained; "
        "with stored features: checks that they were made by this model",
    )
    group.add_argument("--layer", metavar="NAME", help=LAYER)
    group.add_argument("--images", metavar="DIR", help=images)
    add_color(group)
    group.add_argument("--batch-size", type=int, default=64, help="images per forward pass")
    group.add_argument(
        "--cache",
        metavar="DIR",
        help="where embeddings are stored, so that nothing is computed twice after an "
        "interruption (default: gluonface/embeddings in $XDG_CACHE_HOME or ~/.cache)",
    )
    group.add_argument("--no-cache", action="store_true", help="store no embeddings on disk")
    group.add_argument(
        "--allow-bad",
        type=int,
        default=0,
        metavar="N",
        help="go on with up to N unreadable images; they count as failures",
    )
    group.add_argument(
        "--parallel",
        choices=("none", "horovod"),
        default="none",
        help="horovod: the ranks that horovodrun started share the images through the cache",
    )


def add_fpirs(group, default):
    """Add the option for the rates of a search."""
    group.add_argument(
        "--fpirs",
        type=float,
        nargs="+",
        default=list(default),
        metavar="FPIR",
        help="false-positive identification rates, as fractions, if some probes show people who "
        "are not in the gallery",
    )


def add_arguments(parser, fars, bootstrap="people", rates=("--fars", "FAR", "false-accept rates")):
    """Add the options for rates and output.

    `fars` is the default of the rates as text; None: the protocol has no such option. `rates` is
    that option, its metavar and its explanation.
    """
    group = parser.add_argument_group("figures and output")
    group.add_argument(
        "--flip",
        choices=FLIPS,
        default=None,
        help="sum: add the mirrored image's output before normalising; none: the image alone "
        "(default: sum if there are mirrored outputs)",
    )
    if fars is not None:
        group.add_argument(
            rates[0],
            dest="fars",
            type=float,
            nargs="+",
            metavar=rates[1],
            help=f"{rates[2]}, as fractions (default: {fars})",
        )
    group.add_argument(
        "--bootstrap",
        type=int,
        default=0,
        metavar="N",
        help=f"95 %% confidence intervals from N draws of {bootstrap}",
    )
    group.add_argument(
        "--precision",
        choices=("float32", "float64", "bfloat16", "int8"),
        default="float32",
        help="float64: of features and scores, which gives the public programs' digits; bfloat16, "
        "int8: of the network, as for `gluonface embed`, with features and scores in float32",
    )
    group.add_argument(
        "--ctx",
        metavar="DEVICE",
        help="cpu, gpu0, gpu1, ... for the network and for comparing (default: a GPU for the "
        "network if there is one)",
    )
    group.add_argument("--name", default="", help="name of the set, for the table")
    group.add_argument("--json", metavar="FILE", help="write all figures as JSON")
    group.add_argument(
        "--report",
        metavar="DIR",
        help="write a page with tables, ROC, DET, CMC, histograms and the worst errors",
    )


def uses_stored_features(args, option, value):
    """Return whether stored features, the `value` of an `option`, are used, rather than a model.

    InputError when both or none are given, or when a file of results cannot be written.
    """
    import pathlib

    from ..errors import InputError

    if args.json:  # an error now, not after the long computation
        make_parent(args.json)
    if args.report:
        make_parent(pathlib.Path(args.report) / "index.html")
    if (value and args.images) or not (value or args.model or args.images):
        raise InputError(f"give either --model and --images, or {option}")
    if not value and not (args.model and args.images):
        raise InputError(f"--{'images' if args.model else 'model'} is missing: both are needed")
    return bool(value)


def open_model(args):
    """Return (embedder, key of its files or None, communicator or None)."""
    import hashlib

    from ..deploy import Embedder
    from ..errors import InputError
    from ..weights import open_weights

    if args.batch_size < 1:
        raise InputError(f"--batch-size is {args.batch_size}; expected 1 or more")
    comm = None
    if args.parallel == "horovod":
        from ..parallel import Horovod

        comm = Horovod()
    ctx = args.ctx
    if comm is not None and ctx is None:
        from .._compat import mx

        ctx = f"gpu({comm.local_rank})" if mx.context.num_gpus() else None
    layer = getattr(args, "layer", None)
    weights = open_weights(args.model, output=layer)
    precision = "float32" if args.precision == "float64" else args.precision
    embedder = Embedder.load(weights, ctx, precision=precision, color=args.color)
    if not weights.sha256:
        return embedder, None, comm  # random weights cannot be recognised in a later run
    digest = hashlib.sha256("".join(h for _, h in sorted(weights.sha256.items())).encode())
    digest.update(repr(embedder.card.get("preprocessing")).encode())
    if layer is not None:
        digest.update(layer.encode())
    if precision != "float32" or args.color is not None:
        digest.update(f"{precision} {args.color}".encode())
    return embedder, digest.hexdigest(), comm


def embed(args, model, images, name="images"):
    """Return the `cache.Embeddings` of `images`, or None on a rank other than the first."""
    from ..evaluation.files.embedding_cache import embed_images
    from ..files import cache_folder

    embedder, key, comm = model
    folder = None
    if not args.no_cache and key is not None:
        folder = args.cache or cache_folder("embeddings")
    found = embed_images(
        embedder, images, folder, key or "", args.batch_size, comm, True, args.allow_bad, name
    )
    return None if comm is not None and comm.rank else found


def card_of(args, model):
    """Return the facts of the model card, with the source; None for stored features."""
    return None if model is None else {**model[0].card, "source": args.model}


def check_origin(args, path, origin):
    """Refuse stored features of another model than ``--model``, where that is given.

    Parameters
    ----------
    args : argparse.Namespace
    path : str or pathlib.Path
        The file.
    origin : EmbeddingOrigin or None
        What it says of itself. Files of older programs say nothing: that is noted.
    """
    from ..errors import InputError
    from ..weights import open_weights

    models = [args.model] if isinstance(args.model, str) else args.model or []
    if len(models) > 1:
        raise InputError("stored features are of one model; give one --model to check it")
    if models and origin is None:
        _warn_of_unknown(path)
    elif models:
        origin.require_model(open_weights(models[0]).identity, path)


def check_one_origin(*sources):
    """Refuse stored features that are compared with those of another model or flip form.

    Parameters
    ----------
    *sources : (path, EmbeddingOrigin or None) or None
        Of each file; None for features that are not stored.
    """
    known = [source for source in sources if source is not None and source[1] is not None]
    for path, origin in known[1:]:
        origin.require_model(known[0][1].model, path, known[0][0])
        origin.require_flip(known[0][1].flip, path, known[0][0])
    if known:
        for source in sources:
            if source is not None and source[1] is None:
                _warn_of_unknown(source[0])


def _warn_of_unknown(path):
    import logging

    logging.getLogger(__name__).warning(
        "%s does not say which model made its features: whether they fit is not checked", path
    )


def flip_of(args, f, stored=None):
    """Return the flip form: --flip, or the sum where there are outputs `f` of mirrored images.

    `stored` is the flip form of embeddings that are merged already, where it is known.
    """
    from ..errors import InputError

    if f is None and stored is not None:
        if args.flip not in (None, stored):
            raise InputError(f"--flip {args.flip}: the stored embeddings are of flip {stored}")
        return stored
    if args.flip == "sum" and f is None:
        raise InputError("--flip sum needs the outputs of mirrored images (f), which are missing")
    return args.flip or ("none" if f is None else "sum")


def merge_views(args, e, f, origin=None):
    """Return (features, flip form): the outputs of images and mirrors, merged.

    `origin` is the `EmbeddingOrigin` of stored ones.
    """
    from ..evaluation.scores.flip import merge_outputs

    stored = origin and origin.flip
    flip = flip_of(args, f, stored)
    form = "none" if f is None and stored is not None else flip
    return merge_outputs(e, f, form, score_precision(args)), flip


def score_precision(args):
    """Return the precision of features and scores: that of the network is never in between."""
    return "float64" if args.precision == "float64" else "float32"


def compare_options(args):
    """Return the options that every protocol takes: draws, dtype and product function.

    Products are computed on the GPU when --ctx names one, else by NumPy.
    """
    import numpy as np

    from ..errors import InputError
    from ..evaluation.scores.feature_matrix import multiply

    product, ctx = multiply, args.ctx or "cpu"
    if ctx.startswith("gpu"):
        from ..deploy import embedder
        from ..deploy.device_matmul import DeviceProduct

        product = DeviceProduct(embedder.context_of(ctx))
    elif not ctx.startswith("cpu"):
        raise InputError(f"--ctx is {ctx!r}; expected cpu, gpu0, gpu1, ...")
    return {
        "draws": args.bootstrap,
        "product": product,
        "dtype": np.dtype(score_precision(args)).type,
    }


def pair_bar(images):
    """Return a progress bar over all unordered pairs of images."""
    return progress_bar(images * (images - 1) // 2, "pair", "pairs")


def progress_bar(total, unit, name):
    """Return a progress bar on standard error, shown on a terminal."""
    import tqdm

    from ..errors import one_line

    scale = unit == "pair"
    return tqdm.tqdm(total=total, unit=unit, unit_scale=scale, desc=one_line(name), disable=None)


def image_sides(names, images=None, word="image"):
    """Return a function from a row to the `worst_errors.ErrorSide` of its image.

    Parameters
    ----------
    names : sequence of str, optional
    images : ImageList, optional
        Where the image can be read for the report.
    word : str
        What a row without name is called.
    """
    from ..evaluation.report.worst_errors import ErrorSide

    def side(row):
        name = f"{word} {row}" if names is None else str(names[row])
        return ErrorSide(name, images and (lambda: [images.read(row)]))

    return side


def search_sides(of_probes, of_gallery):
    """Return the `sides` of `finish` for errors of a search: probe, wrong entry and right one.

    Both take a row and return a `worst_errors.ErrorSide`.
    """

    def sides(_, error):
        found = of_probes(error.a), of_gallery(error.b)
        return found if error.mate is None else (*found, of_gallery(error.mate))

    return sides


def make_parent(path):
    """Return `path` with its folder made."""
    import pathlib

    from ..errors import InputError

    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}") from error
    return path


def command(args):
    """Return the name of the command that runs, such as ``gluonface eval ijb``."""
    return f"gluonface eval {args.run.__module__.rpartition('_')[2]}"


def unused_name(name, taken):
    """Return `name`, numbered when it is among the names `taken`."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def finish(args, results, card=None, inputs=None, flip=None, sides=None):
    """Log the notes, print the tables, write JSON and report. Returns the exit status.

    `sides` names and shows both sides of the worst errors; see `worst_errors.name_errors`.
    """
    import dataclasses
    import logging
    import sys

    from ..evaluation.report.report_folder import write_report
    from ..evaluation.report.worst_errors import name_errors
    from ..evaluation.results.evaluation_result import document
    from ..files import write_json

    if sides is not None:
        results = [name_errors(result, sides) for result in results]
    results = [
        dataclasses.replace(
            result,
            name=result.name or args.name,
            inputs={**result.inputs, **(inputs or {})},
            flip=result.flip or flip,
            model=card and card.get("source"),
            preprocessing=card and card.get("preprocessing"),
        )
        for result in results
    ]
    for result in results:
        for one in (result, *result.subsets):
            for note in one.notes:
                logging.getLogger(__name__).warning("%s: %s", one.title, note)
    sys.stdout.write("\n\n".join(result.table() for result in results) + "\n")
    if args.json:
        write_json(make_parent(args.json), document(results, card))
    if args.report:
        write_report(args.report, results, card, sides, command(args))
    return 0
