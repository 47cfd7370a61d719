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
        "--set",
        metavar="PATH",
        help="in place of lists: TinyFace's Testing_Set or SurvFace's Face_Identification_Test_Set "
        "(a folder, zip or tar), or CVLface's Arrow folder of TinyFace. Distractors are in the "
        "gallery, and no probe shows them. The set has the images, so --images is not needed",
    )
    group.add_argument(
        "--resize",
        action="store_true",
        help="scale images of --set to 112x112, such as those of TinyFace and SurvFace",
    )
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
    import dataclasses

    from ..evaluation.protocols import identification

    facts = {}
    if args.set:
        held, facts = _load_set(args)
    else:
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
    if facts:
        counts = {**result.counts, **{name: n for name, n in facts.items() if n}}
        counts["identities"] -= facts["distractors"]
        result = dataclasses.replace(result, counts=counts)
    return finish(args, result, gallery, probes)


def _load_set(args):
    """Return the `eval_faces.Faces` of the gallery and the probes of a set, and counts."""
    from ..errors import InputError
    from ..evaluation.files.search_set import open_search_set

    others = ("gallery", "probes", "gallery_embeddings", "probe_embeddings", "images")
    given = [name for name in others if getattr(args, name)]
    if given:
        raise InputError(f"--set has both sides and the images; leave out --{given[0]}")
    if not args.model:
        raise InputError("--model is missing: it embeds the images of --set")
    args.images = args.set
    eval_common.uses_stored_features(args, "--gallery-embeddings", None)
    found = open_search_set(args.set, args.resize)
    args.name = args.name or found.name
    model = eval_common.open_model(args)
    sides = [
        eval_faces.embed_faces(args, model, images, identity, found.inputs, what)
        for images, identity, what in (
            (found.gallery, found.gallery_ids, "gallery"),
            (found.probes, found.probe_ids, "probes"),
        )
    ]
    counts = {"distractors": found.distractors}
    return (None if None in sides else sides), counts


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
