"""`gluonface eval identification`: look for probes in a gallery, as TinyFace does."""

from . import eval_common, eval_faces

__all__ = ["add_arguments", "add_sides", "load_sides", "run"]


def add_sides(group):
    """Add the options that name the gallery and the probes."""
    group.add_argument(
        "--gallery",
        metavar="FILE",
        help="lines of image path and identity; distractors have their own",
    )
    group.add_argument(
        "--probes", metavar="FILE", help="the same; unknown people may be among them"
    )
    for side in ("gallery", "probe"):
        group.add_argument(
            f"--{side}-embeddings",
            metavar="FILE",
            help="stored features: .npz with e or embedding (f of the mirrors, path), or .npy; "
            "identities from the array identity, or from the list",
        )


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    group = parser.add_argument_group("gallery and probes")
    add_sides(group)
    group.add_argument(
        "--unique-gallery", action="store_true", help="an identity may be in the gallery once only"
    )
    group.add_argument(
        "--ranks", type=int, nargs="+", default=[1, 5, 10, 20], metavar="K", help="for rank-K"
    )
    eval_common.add_fpirs(group, (0.001, 0.01, 0.1))
    eval_common.add_model_arguments(parser, "aligned faces, by the paths of both lists")
    eval_common.add_arguments(parser, None, "probe identities")


def run(args):
    """Search, print, write; return the exit status."""
    from ..evaluation.protocols import identification

    held = load_sides(args)
    if held is None:
        return 0  # a rank that only helped
    gallery, probes = held
    result = identification.evaluate(
        probes.features,
        gallery.features,
        probes.identity,
        gallery.identity,
        ranks=args.ranks,
        fpirs=args.fpirs,
        unique=args.unique_gallery,
        **eval_common.compare_options(args),
    )
    return finish(args, result, gallery, probes)


def load_sides(args):
    """Return the `eval_faces.Faces` of gallery and probes, or None on a rank that only helps."""
    from ..errors import InputError

    stored = eval_common.uses_stored_features(args, "--gallery-embeddings", args.gallery_embeddings)
    if stored and not args.probe_embeddings:
        raise InputError("--probe-embeddings is missing")
    if not stored and args.probe_embeddings:
        raise InputError("--probe-embeddings goes with --gallery-embeddings, without a model")
    if not stored and not (args.gallery and args.probes):
        raise InputError("--gallery and --probes are needed: lists of image path and identity")
    model = None if stored else eval_common.open_model(args)
    unique = getattr(args, "unique_gallery", False)
    gallery = eval_faces.load(
        args, model, args.gallery, args.gallery_embeddings, "gallery", unique=unique
    )
    probes = eval_faces.load(args, model, args.probes, args.probe_embeddings, "probes")
    if gallery is None:
        return None
    probes.flip = eval_faces.one_flip(gallery, probes)
    return gallery, probes


def finish(args, result, gallery, probes):
    """Print and write the result of a search; return the exit status."""
    return eval_common.finish(
        args,
        [result],
        gallery.card,
        {**gallery.inputs, **probes.inputs},
        probes.flip,
        eval_common.search_sides(probes.side, gallery.side),
    )
