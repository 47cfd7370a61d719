"""What the protocols of `gluonface eval` share: options, models, caches, output."""

__all__ = [
    "add_arguments",
    "add_fpirs",
    "add_model_arguments",
    "combined",
    "command",
    "embed",
    "entries_of",
    "finish",
    "no_model",
    "open_model",
    "pair_bar",
    "product_for",
    "search_entries",
    "writable",
]

FLIPS = ("sum", "none")


def add_model_arguments(parser, images):
    """Add the options for embedding images with a model; `images` explains ``--images``."""
    group = parser.add_argument_group("from images")
    group.add_argument(
        "--model",
        metavar="SOURCE",
        help="a run folder, an exported prefix, a .onnx file, NAME:FILE.params or NAME:untrained",
    )
    group.add_argument("--images", metavar="DIR", help=images)
    group.add_argument("--batch-size", type=int, default=64, help="images per forward pass")
    group.add_argument(
        "--cache",
        metavar="DIR",
        help="where embeddings are kept, so that interrupted work goes on and done work is not "
        "repeated (default: gluonface/embeddings in $XDG_CACHE_HOME or ~/.cache)",
    )
    group.add_argument("--no-cache", action="store_true", help="keep no embeddings on disk")
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
        help="false-positive identification rates, as fractions, where some probes are of nobody "
        f"in the gallery (default: {' '.join(f'{rate:g}' for rate in default)})",
    )


def add_arguments(parser, fars, bootstrap="people", rates=("--fars", "FAR", "false-accept rates")):
    """Add the options for rates and output.

    `fars` says what the default of the rates is; None: the protocol has no such option. `rates`
    is that option, its metavar and what it is.
    """
    group = parser.add_argument_group("figures and output")
    group.add_argument(
        "--flip",
        choices=FLIPS,
        default=None,
        help="sum: add the mirrored image's output before normalising; none: the image alone "
        "(default: sum where mirrored outputs are at hand)",
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
        choices=("float32", "float64"),
        default="float32",
        help="of features and scores; float64 gives the public programs' digits",
    )
    group.add_argument(
        "--ctx",
        metavar="DEVICE",
        help="cpu, gpu0, gpu1, ... for the network and for comparing (default: a GPU for the "
        "network if there is one)",
    )
    group.add_argument("--name", default="", help="of the set, for the table")
    group.add_argument("--json", metavar="FILE", help="write all figures as JSON")
    group.add_argument(
        "--report",
        metavar="DIR",
        help="write a page with tables, ROC, DET, CMC, histograms and the worst errors",
    )


def no_model(args, stored):
    """Return whether stored features are used; InputError unless it is one way or the other.

    `stored` is the pair (option, value) of the stored features.
    """
    import pathlib

    from ..errors import InputError

    if args.json:  # what cannot be written is said before the long part
        writable(args.json)
    if args.report:
        writable(pathlib.Path(args.report) / "index.html")
    option, value = stored
    if bool(value) == bool(args.model or args.images):
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
    weights = open_weights(args.model)
    embedder = Embedder.load(weights, ctx=ctx)
    if not weights.sha256:
        return embedder, None, comm  # random weights: there is nothing to know them again by
    digest = hashlib.sha256("".join(weights.sha256.values()).encode())
    digest.update(repr(embedder.card.get("preprocessing")).encode())
    return embedder, digest.hexdigest(), comm


def embed(args, model, pictures, name="images"):
    """Return the `cache.Embedded` of `pictures`, or None on a rank other than the first."""
    from ..evaluation.files.embedding_cache import embed_pictures
    from ..files import cache_folder

    embedder, key, comm = model
    folder = None
    if not args.no_cache and key is not None:
        folder = args.cache or cache_folder("embeddings")
    found = embed_pictures(
        embedder, pictures, folder, key or "", args.batch_size, comm, True, args.allow_bad, name
    )
    return None if comm is not None and comm.rank else found


def combined(args, e, f):
    """Return (features, name of the flip form): the sum of both views, or the image alone."""
    import numpy as np

    from ..errors import InputError

    flip = args.flip or ("none" if f is None else "sum")
    if flip == "none":
        return e, flip
    if f is None:
        raise InputError("--flip sum needs the outputs of mirrored images (f), which are missing")
    return np.add(e, f, dtype=np.float64 if args.precision == "float64" else np.float32), flip


def product_for(args):
    """Return the product function: on the GPU when --ctx names one, else NumPy's."""
    if not (args.ctx or "").startswith("gpu"):
        if args.ctx and not args.ctx.startswith("cpu"):
            from ..errors import InputError

            raise InputError(f"--ctx is {args.ctx!r}; expected cpu, gpu0, gpu1, ...")
        from ..evaluation.scores.feature_matrix import multiply

        return multiply
    from ..deploy import embedder
    from ..deploy.device_matmul import DeviceProduct

    return DeviceProduct(embedder.context_of(args.ctx))


def pair_bar(images):
    """Return a progress bar over all unordered pairs of images."""
    import tqdm

    pairs = images * (images - 1) // 2
    return tqdm.tqdm(total=pairs, unit="pair", unit_scale=True, desc="pairs", disable=None)


def entries_of(names, pictures=None, word="image"):
    """Return a function from a row to the `report_outcomes.Entry` of its image.

    Parameters
    ----------
    names : sequence of str, optional
    pictures : Pictures, optional
        Where the image can be read for the report.
    word : str
        What a row without name is called.
    """
    from ..evaluation.report.protocol_report import Entry

    def entry(row):
        name = f"{word} {row}" if names is None else str(names[row])
        return Entry(name, pictures and (lambda: [pictures.read(row)]))

    return entry


def search_entries(of_probes, of_gallery):
    """Return what `finish` shows of an error of a search: probe, wrong entry and right one.

    Both take a row and return a `report_outcomes.Entry`.
    """

    def entries(_, hard):
        found = of_probes(hard.a), of_gallery(hard.b)
        return found if hard.mate is None else (*found, of_gallery(hard.mate))

    return entries


def writable(path):
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


def finish(args, outcomes, card=None, inputs=None, flip=None, entries=None):
    """Say what was found: notes as warnings, tables, JSON, report. Returns the exit status.

    `entries` names and shows both sides of the worst errors; see `report_outcomes`.
    """
    import dataclasses
    import logging
    import sys

    from ..evaluation.report.protocol_report import name_errors, write_outcomes
    from ..evaluation.results.outcome import outcome_document
    from ..files import write_json

    if entries is not None:
        outcomes = [name_errors(outcome, entries) for outcome in outcomes]
    outcomes = [
        dataclasses.replace(
            outcome,
            name=outcome.name or args.name,
            inputs={**outcome.inputs, **(inputs or {})},
            flip=outcome.flip or flip,
            model=card and card.get("source"),
            preprocessing=card and card.get("preprocessing"),
        )
        for outcome in outcomes
    ]
    for outcome in outcomes:
        for part in (outcome, *outcome.parts):
            title = " ".join(filter(None, (part.protocol, part.name)))
            for note in part.notes:
                logging.getLogger(__name__).warning("%s: %s", title, note)
    sys.stdout.write("\n\n".join(outcome.table() for outcome in outcomes) + "\n")
    if args.json:
        write_json(writable(args.json), outcome_document(outcomes, card))
    if args.report:
        write_outcomes(args.report, outcomes, card, entries, command(args))
    return 0
