"""`gluonface eval folder`: evaluate a model on your own faces, a folder a person."""

from . import eval_common, eval_verification
from ._data_common import add_source_options, source_options

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    eval_common.add_model_arguments(
        parser,
        "a folder for each person, with aligned faces of 112x112 in it, or such faces in any form "
        "that `gluonface data pack` takes",
    )
    parser.add_argument(
        "--resize",
        action="store_true",
        help="scale images of other sizes to 112x112; aligned ones give better figures",
    )
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help="compare these pairs only: lines of image, image (paths in the folder), 1 or 0; "
        "adds the accuracy by folds",
    )
    parser.add_argument("--folds", type=int, default=10, help="of the accuracy, with --pairs")
    parser.add_argument(
        "--folds-by",
        choices=("order", "people"),
        default="order",
        help="folds of the list as it stands, or folds that share no person, with --pairs",
    )
    add_source_options(parser)
    stored = parser.add_argument_group("from stored features")
    stored.add_argument(
        "--embeddings",
        metavar="FILE.npz",
        help="what `gluonface embed` made of such a folder: embedding (or e, f), path and identity",
    )
    eval_common.add_arguments(parser, "those of 1e-6 to 1e-1 that the pairs allow")


def run(args):
    """Compare, print, write; return the exit status."""
    import logging

    from ..errors import InputError
    from ..evaluation.protocols import folder

    if args.folds_by == "people" and not args.pairs:
        raise InputError("--folds-by people is for --pairs: without it there are no folds")
    held = _features(args)
    if held is None:
        return 0  # a rank that only helped
    e, f, names, people, card, inputs, images, pairs, origin = held
    features, flip = eval_common.merge_views(args, e, f, origin)
    side = eval_common.image_sides(names, images)
    if pairs:
        folds = args.folds
        if args.folds_by == "people":
            folds, reason = folder.folds_by_people(pairs, dict(zip(names, people)), folds)
            if reason:
                logging.getLogger(__name__).warning("%s", reason)
        result = folder.evaluate_listed(
            features, names, pairs, folds, fars=args.fars, draws=args.bootstrap
        )
        return _finish_listed(args, result, (pairs, names, images and side), card, inputs, flip)
    with eval_common.pair_bar(len(features)) as bar:
        options = eval_common.compare_options(args)
        result = folder.evaluate(features, people, fars=args.fars, progress=bar.update, **options)
    return eval_common.finish(
        args, [result], card, inputs, flip, lambda _, error: (side(error.a), side(error.b))
    )


def _features(args):
    """Return e, f, names, people, card, inputs, images, pairs, origin; None on a helping rank."""
    from ..data.sources import open_source
    from ..errors import InputError
    from ..evaluation.files.feature_files import load_features
    from ..evaluation.files.image_list import FaceImages
    from ..evaluation.protocols import folder

    if eval_common.uses_stored_features(args, "--embeddings", args.embeddings):
        held = load_features(args.embeddings)
        eval_common.check_origin(args, held.path, held.origin)
        if held.names is None:
            raise InputError(f"{held.path} has no array path, which says who is on each image")
        names = [str(name).replace("\\", "/") for name in held.names]
        people = _stored_people(args, held, names)
        pairs = args.pairs and folder.read_pairs(args.pairs, names)
        inputs = {held.path.name: held.sha256}
        return held.e, held.f, names, people, None, inputs, None, pairs, held.origin
    source = open_source(args.images, **source_options(args))
    people = [source.identity(number) for number in range(len(source))]
    images = FaceImages(source, args.resize)
    names = images.names
    pairs = args.pairs and folder.read_pairs(args.pairs, names)  # a wrong line costs no time here
    model = eval_common.open_model(args)
    found = eval_common.embed(args, model, images)
    if found is None:
        return None
    inputs = {"images (pixels)": found.sha256}
    card = eval_common.card_of(args, model)
    return found.e, found.f, names, people, card, inputs, images, pairs, None


def _stored_people(args, held, names):
    """Return who is on each image: the stored identities, else by the folders of the paths."""
    from ..data.sources.options import SourceOptions
    from ..data.sources.person_folders import person_folders

    person = SourceOptions(person=args.person).person
    if person is None and "identity" in held.arrays:
        return [str(name) for name in held.arrays["identity"]]
    labels, keys, _ = person_folders(names, person, str(held.path))
    return [keys[label] for label in labels]


def _finish_listed(args, result, listed, card, inputs, flip):
    """Print and write the result of listed pairs, as `gluonface eval verification` does."""
    import dataclasses
    import pathlib

    from ..files import sha256

    pairs, names, side = listed
    row = {name: number for number, name in enumerate(names)}
    result = dataclasses.replace(
        result,
        name=args.name or pathlib.Path(args.pairs).stem,
        pack_sha256=sha256(args.pairs),
        model=card and card["source"],
        inputs=inputs,
        flip=flip,
    )

    def sides(_, call):
        return tuple(side(row[names_of_side[call.index]]) for names_of_side in pairs[:2])

    return eval_verification.finish(args, [result], card and [card], side and sides)
