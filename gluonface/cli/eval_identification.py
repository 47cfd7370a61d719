"""`gluonface eval identification`: look for probes in a gallery, as TinyFace does."""

from . import eval_common

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    group = parser.add_argument_group("lists")
    group.add_argument(
        "--gallery",
        metavar="FILE",
        help="lines of image path and identity; distractors have their own",
    )
    group.add_argument(
        "--probes", metavar="FILE", help="the same; unknown people may be among them"
    )
    group.add_argument(
        "--unique-gallery", action="store_true", help="an identity may be in the gallery once only"
    )
    group.add_argument(
        "--ranks", type=int, nargs="+", default=[1, 5, 10, 20], metavar="K", help="for rank-K"
    )
    group.add_argument(
        "--fpirs",
        type=float,
        nargs="+",
        default=[0.001, 0.01, 0.1],
        metavar="FPIR",
        help="false-positive identification rates, when some probes are of nobody in the gallery",
    )
    eval_common.add_model_arguments(parser, "aligned faces, by the paths of both lists")
    stored = parser.add_argument_group("from stored features")
    for side in ("gallery", "probe"):
        stored.add_argument(
            f"--{side}-embeddings",
            metavar="FILE",
            help=".npz with e or embedding (f of the mirrors, path), or .npy; identities from the "
            "array identity, or from the list",
        )
    eval_common.add_arguments(parser, "not used here", "probe identities")


def run(args):
    """Search, print, write; return the exit status."""
    import numpy as np

    from ..errors import InputError
    from ..evaluation import identification
    from ..files import sha256

    stored = eval_common.no_model(args, ("--gallery-embeddings", args.gallery_embeddings))
    if stored and not args.probe_embeddings:
        raise InputError("--probe-embeddings is missing")
    if not stored and not (args.gallery and args.probes):
        raise InputError("--gallery and --probes are needed: lists of image path and identity")
    model = None if stored else eval_common.open_model(args)
    inputs = {file: sha256(file) for file in (args.gallery, args.probes) if file}
    sides = {}
    for side, file, features in (
        ("gallery", args.gallery, args.gallery_embeddings),
        ("probes", args.probes, args.probe_embeddings),
    ):
        sides[side] = _side(args, model, side, file, features, inputs)
    if sides["gallery"] is None:
        return 0  # a rank that only helped
    gallery, gallery_ids, flip, of_gallery = sides["gallery"]
    probes, probe_ids, _, of_probes = sides["probes"]
    outcome = identification.evaluate(
        probes,
        gallery,
        probe_ids,
        gallery_ids,
        ranks=args.ranks,
        fpirs=args.fpirs,
        unique=args.unique_gallery,
        draws=args.bootstrap,
        product=eval_common.product_for(args),
        dtype=np.dtype(args.precision).type,
    )
    card = model and {**model[0].card, "source": args.model}
    entries = eval_common.search_entries(of_probes, of_gallery)
    return eval_common.finish(args, [outcome], card, inputs, flip, entries)


def _side(args, model, side, file, features, inputs):
    """Return features, identities, flip form and what a report shows of one side.

    None on a helping rank.
    """
    from ..errors import InputError
    from ..evaluation.pictures import Pictures, read_list
    from ..evaluation.stored import load_features

    names = identity = None
    if file:
        names, identity = read_list(file, 2, "image path, identity")
    if model is not None:
        pictures = Pictures(args.images, names)
        found = eval_common.embed(args, model, pictures, side)
        if found is None:
            return None
        inputs[f"{side} (pixels)"] = found.sha256
        features, flip = eval_common.combined(args, found.e, found.f)
        return features, identity, flip, eval_common.entries_of(names, pictures)
    held = load_features(features)
    if names is not None:
        held = held.arranged(names, file)
    elif "identity" in held.arrays:
        identity = held.arrays["identity"]
    else:
        raise InputError(f"{held.path} has no array identity, and there is no list for the {side}")
    inputs[held.path.name] = held.sha256
    features, flip = eval_common.combined(args, held.e, held.f)
    word = "gallery entry" if side == "gallery" else "probe"
    return features, identity, flip, eval_common.entries_of(held.names, word=word)
