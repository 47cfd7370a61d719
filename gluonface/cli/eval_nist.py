"""`gluonface eval nist`: error rates as NIST states them, FNMR at FMR and FNIR at FPIR."""

from . import eval_common, eval_faces, eval_identification

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    group = parser.add_argument_group("1:1, all pairs of a list")
    group.add_argument(
        "--list",
        metavar="FILE",
        help="lines of image path, identity and, optionally, group, separated by tabs or blanks; "
        "stored features can have the arrays identity and group instead",
    )
    group.add_argument(
        "--reference-group",
        metavar="NAME",
        help="set the threshold on this group alone (default: on all together)",
    )
    group.add_argument(
        "--embeddings",
        metavar="FILE",
        help="stored features: .npz with e or embedding (f of the mirrors, identity, group, "
        "path), or .npy. A vector of zeros is a failure to make a template",
    )
    group = parser.add_argument_group("1:1, scores of any origin")
    group.add_argument(
        "--scores",
        metavar="FILE",
        help="lines of score, 1 (mated) or 0, and, optionally, a group; the score of a failure is "
        "fail",
    )
    group = parser.add_argument_group("1:N, probes in a gallery")
    eval_identification.add_sides(group)
    group.add_argument(
        "--depth",
        type=int,
        default=1,
        metavar="R",
        help="the mate must be among the first R",
    )
    eval_common.add_fpirs(group, (0.001, 0.01, 0.1))
    eval_common.add_model_arguments(parser, "aligned faces, by the paths of the lists")
    eval_common.add_arguments(
        parser,
        "1e-6 1e-5 1e-4 1e-3",
        "people (scores: of comparisons)",
        rates=("--fmrs", "FMR", "false match rates of 1:1"),
    )


def run(args):
    """Compare, print, write; return the exit status."""
    from ..errors import InputError

    search = [args.gallery, args.probes, args.gallery_embeddings, args.probe_embeddings]
    chosen = [
        bool(args.scores),
        bool(args.list or args.embeddings),
        any(search),
    ]
    if sum(chosen) != 1:
        raise InputError(
            "give one of: --scores; --list or --embeddings (1:1); --gallery and --probes, or their "
            "embeddings (1:N)"
        )
    if args.scores:
        return _scores(args)
    if any(search):
        return _search(args)
    return _pairs(args)


def _scores(args):
    from ..errors import InputError
    from ..evaluation.protocols import nist
    from ..files import sha256

    if args.model or args.images:
        raise InputError("--scores come from anywhere: leave out --model and --images")
    score, same, group = nist.read_scores(args.scores)
    result = nist.from_scores(
        score,
        same,
        group,
        fmrs=args.fars or nist.DEFAULT_FMRS,
        reference=args.reference_group,
        draws=args.bootstrap,
    )
    return eval_common.finish(args, [result], None, {args.scores: sha256(args.scores)})


def _pairs(args):
    from ..evaluation.protocols import nist

    stored = eval_common.uses_stored_features(args, "--embeddings", args.embeddings)
    model = None if stored else eval_common.open_model(args)
    held = eval_faces.load(args, model, args.list, args.embeddings, group="may")
    if held is None:
        return 0  # a rank that only helped
    with eval_common.pair_bar(len(held.features)) as bar:
        result = nist.compare(
            held.features,
            held.identity,
            held.group,
            fmrs=args.fars or nist.DEFAULT_FMRS,
            reference=args.reference_group,
            progress=bar.update,
            **eval_common.compare_options(args),
        )
    return eval_common.finish(
        args,
        [result],
        held.card,
        held.inputs,
        held.flip,
        lambda _, error: (held.side(error.a), held.side(error.b)),
    )


def _search(args):
    from ..evaluation.protocols import nist

    held = eval_identification.load_sides(args)
    if held is None:
        return 0  # a rank that only helped
    gallery, probes = held
    result = nist.search(
        probes.features,
        gallery.features,
        probes.identity,
        gallery.identity,
        fpirs=args.fpirs,
        depth=args.depth,
        **eval_common.compare_options(args),
    )
    return eval_identification.finish(args, result, gallery, probes)
