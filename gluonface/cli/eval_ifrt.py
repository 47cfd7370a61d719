"""`gluonface eval ifrt`: all-to-all verification within groups and of the whole set."""

from . import eval_common, eval_faces

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    group = parser.add_argument_group("lists")
    group.add_argument(
        "--list",
        metavar="FILE",
        help="lines of image path, identity, group, separated by tabs or blanks; stored features "
        "can have the arrays identity and group instead",
    )
    group.add_argument(
        "--mask",
        nargs=2,
        metavar=("MASKED", "PLAIN"),
        help="each masked face against each unmasked one: two lists of image path and identity, "
        "or with --embeddings two .npz of stored features with identity",
    )
    group.add_argument(
        "--children",
        metavar="FILE",
        help="all pairs of the children's set: a list of image path and identity, or with "
        "--embeddings a .npz of stored features with identity",
    )
    eval_common.add_model_arguments(parser, "aligned faces, by the paths of all lists")
    stored = parser.add_argument_group("from stored features")
    stored.add_argument(
        "--embeddings",
        metavar="FILE",
        help=".npz with e or embedding (f of the mirrors, identity, group, path), or .npy",
    )
    eval_common.add_arguments(parser, "1e-6 1e-5 1e-4; 1e-4 of --mask and --children")


def run(args):
    """Compare all pairs, print, write; return the exit status."""
    from ..evaluation.protocols import ifrt

    stored = eval_common.uses_stored_features(args, "--embeddings", args.embeddings)
    model = None if stored else eval_common.open_model(args)
    sets = _load(args, model)
    if any(side is None for sides in sets.values() for side in sides):
        return 0  # a rank that only helped
    (faces,) = sets["ALL"]
    options = eval_common.compare_options(args)
    with eval_common.pair_bar(len(faces.features)) as bar:
        whole = ifrt.evaluate(
            faces.features,
            faces.identity,
            faces.group,
            fars=args.fars or ifrt.DEFAULT_FARS,
            progress=bar.update,
            **options,
        )
    results = [whole]
    if args.mask:
        masked, plain = sets["Mask"]
        result = ifrt.evaluate_mask(
            masked.features, masked.identity, plain.features, plain.identity, **options
        )
        results.append(ifrt.with_ranking_score(result, whole))
    if args.children:
        (children,) = sets["Children"]
        results.append(ifrt.evaluate_children(children.features, children.identity, **options))
    inputs = {}
    for sides in sets.values():
        for side in sides:
            inputs.update(side.inputs)

    def sides(result, error):
        compared = sets.get(result.name, sets["ALL"])
        return compared[0].side(error.a), compared[-1].side(error.b)

    return eval_common.finish(args, results, faces.card, inputs, faces.flip, sides)


def _load(args, model):
    """Return the `eval_faces.Faces` of each test by its name, a side or two."""
    wanted = {"ALL": [("images", args.list, args.embeddings, "must")]}
    if args.mask:
        sides = zip(("masked faces", "plain faces"), args.mask)
        wanted["Mask"] = [_either(model, what, file) for what, file in sides]
    if args.children:
        wanted["Children"] = [_either(model, "children", args.children)]
    found = {
        name: [
            eval_faces.load(args, model, file, stored, what, group)
            for what, file, stored, group in sides
        ]
        for name, sides in wanted.items()
    }
    every = [side for sides in found.values() for side in sides if side is not None]
    if every:
        eval_faces.one_flip(*every)
    return found


def _either(model, what, file):
    """Return a list's or a feature file's place among the arguments of `eval_faces.load`."""
    return (what, None, file, "no") if model is None else (what, file, None, "no")
