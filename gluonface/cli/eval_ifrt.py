"""`gluonface eval ifrt`: all-to-all verification within groups and of the whole set."""

from . import eval_common

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    group = parser.add_argument_group("lists")
    group.add_argument(
        "--list",
        metavar="FILE",
        help="lines of image path, identity, group (by tabs or blanks); for stored features the "
        "arrays identity and group do as well",
    )
    group.add_argument(
        "--mask",
        nargs=2,
        metavar=("MASKED.npz", "PLAIN.npz"),
        help="stored features with identity: each masked face against each unmasked one",
    )
    eval_common.add_model_arguments(parser, "aligned faces, by the paths of the list")
    stored = parser.add_argument_group("from stored features")
    stored.add_argument(
        "--embeddings",
        metavar="FILE",
        help=".npz with e or embedding (f of the mirrors, identity, group, path), or .npy",
    )
    eval_common.add_arguments(parser, "1e-6 1e-5 1e-4")


def run(args):
    """Compare all pairs, print, write; return the exit status."""
    import numpy as np

    from ..errors import InputError
    from ..evaluation import ifrt
    from ..files import sha256

    stored = eval_common.no_model(args, ("--embeddings", args.embeddings))
    if not stored and not args.list:
        raise InputError("--list is missing: it says who is on the images, and their group")
    held = _stored(args) if stored else _embedded(args)
    if held is None:
        return 0  # a rank that only helped
    e, f, identity, group, card, inputs, entry = held
    if args.list:
        inputs[args.list] = sha256(args.list)
    features, flip = eval_common.combined(args, e, f)
    dtype = np.dtype(args.precision).type
    product = eval_common.product_for(args)
    with _bar(len(features)) as bar:
        whole = ifrt.evaluate(
            features,
            identity,
            group,
            fars=args.fars or ifrt.DEFAULT_FARS,
            draws=args.bootstrap,
            product=product,
            dtype=dtype,
            progress=bar.update,
        )
    outcomes = [whole]
    if args.mask:
        outcomes.append(_mask(args, whole, dtype, product, inputs))
    masked = eval_common.entries_of(None, word="masked face")
    plain = eval_common.entries_of(None, word="plain face")

    def entries(outcome, hard):
        one, other = (masked, plain) if outcome.name == "Mask" else (entry, entry)
        return one(hard.a), other(hard.b)

    return eval_common.finish(args, outcomes, card, inputs, flip, entries)


def _bar(images):
    import tqdm

    return tqdm.tqdm(
        total=images * (images - 1) // 2, unit="pair", unit_scale=True, desc="pairs", disable=None
    )


def _embedded(args):
    from ..evaluation.pictures import Pictures, read_list

    names, identity, group = read_list(args.list, 3, "image path, identity, group")
    pictures = Pictures(args.images, names)
    model = eval_common.open_model(args)
    found = eval_common.embed(args, model, pictures)
    if found is None:
        return None
    card = {**model[0].card, "source": args.model}
    entry = eval_common.entries_of(names, pictures)
    return found.e, found.f, identity, group, card, {"images (pixels)": found.sha256}, entry


def _stored(args):
    from ..evaluation.pictures import read_list
    from ..evaluation.stored import load_features

    held = load_features(args.embeddings)
    if args.list:
        names, identity, group = read_list(args.list, 3, "image path, identity, group")
        held = held.arranged(names, args.list)
    else:
        identity, group = _labels(held, ("identity", "group"))
    entry = eval_common.entries_of(held.names)
    return held.e, held.f, identity, group, None, {held.path.name: held.sha256}, entry


def _labels(held, names):
    from ..errors import InputError

    missing = [name for name in names if name not in held.arrays]
    if missing:
        raise InputError(f"{held.path} has no array {' and no array '.join(missing)}")
    return [held.arrays[name] for name in names]


def _mask(args, whole, dtype, product, inputs):
    """Return the outcome of the mask test, with IFRT's figure for ranking where it exists."""
    import dataclasses

    from ..evaluation import ifrt
    from ..evaluation.stored import load_features

    sides = []
    for path in args.mask:
        held = load_features(path)
        inputs[held.path.name] = held.sha256
        features, _ = eval_common.combined(args, held.e, held.f)
        sides += [features, *_labels(held, ("identity",))]
    outcome = ifrt.evaluate_mask(*sides, dtype=dtype, product=product)
    strict = {p.target: p for p in whole.points if p.convention == "strict"}
    if 1e-6 in strict:
        score = ifrt.ranking_score(outcome.points[0], strict[1e-6])
        measures = {**outcome.measures, "0.25 Mask + 0.75 ALL": score}
        outcome = dataclasses.replace(outcome, measures=measures)
    return outcome
