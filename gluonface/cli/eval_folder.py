"""`gluonface eval folder`: evaluate a model on your own faces, a folder a person."""

from . import eval_common

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    eval_common.add_model_arguments(
        parser, "a folder for each person, with aligned faces of 112x112 in it"
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
    stored = parser.add_argument_group("from stored features")
    stored.add_argument(
        "--embeddings",
        metavar="FILE.npz",
        help="what `gluonface embed` made of such a folder: embedding (or e, f) and path",
    )
    eval_common.add_arguments(parser, "those of 1e-6 to 1e-1 that the pairs allow")


def run(args):
    """Compare, print, write; return the exit status."""
    import dataclasses

    import numpy as np

    from ..evaluation.protocols import folder

    held = _features(args)
    if held is None:
        return 0  # a rank that only helped
    e, f, names, people, card, inputs, pictures, pairs = held
    features, flip = eval_common.combined(args, e, f)
    if pairs:
        result = folder.evaluate_listed(
            features, names, pairs, args.folds, fars=args.fars, draws=args.bootstrap
        )
        result = dataclasses.replace(result, inputs=inputs, flip=flip)
        return _listed(args, result, card, (pairs, names, pictures))
    with eval_common.pair_bar(len(features)) as bar:
        outcome = folder.evaluate(
            features,
            people,
            fars=args.fars,
            draws=args.bootstrap,
            product=eval_common.product_for(args),
            dtype=np.dtype(args.precision).type,
            progress=bar.update,
        )
    entry = eval_common.entries_of(names, pictures)
    return eval_common.finish(
        args, [outcome], card, inputs, flip, lambda _, hard: (entry(hard.a), entry(hard.b))
    )


def _features(args):
    """Return e, f, names, people, card, inputs, pictures and pairs, or None on a helping rank."""
    from ..errors import InputError
    from ..evaluation.files.feature_files import load_features
    from ..evaluation.files.image_list import Pictures, people_of
    from ..evaluation.protocols import folder

    if eval_common.no_model(args, ("--embeddings", args.embeddings)):
        held = load_features(args.embeddings)
        if held.names is None:
            raise InputError(f"{held.path} has no array path, which says who is on each image")
        names = [str(name).replace("\\", "/") for name in held.names]
        loose = [name for name in names if "/" not in name]
        if loose:
            raise InputError(f"{held.path}: {loose[0]} is in no person's folder")
        people = [name.split("/")[0] for name in names]
        pairs = args.pairs and folder.read_pairs(args.pairs, names)
        return held.e, held.f, names, people, None, {held.path.name: held.sha256}, None, pairs
    names, people = people_of(args.images)
    pairs = args.pairs and folder.read_pairs(args.pairs, names)  # a wrong line costs no time here
    pictures = Pictures(args.images, names, resize=args.resize)
    model = eval_common.open_model(args)
    found = eval_common.embed(args, model, pictures)
    if found is None:
        return None
    card = {**model[0].card, "source": args.model}
    inputs = {"images (pixels)": found.sha256}
    return found.e, found.f, names, people, card, inputs, pictures, pairs


class _ListedPictures:
    """The images of listed pairs, as `report.write_report` asks for them."""

    def __init__(self, pairs, names, pictures):
        self._pairs, self._pictures = pairs, pictures
        self._row = {name: row for row, name in enumerate(names)}

    def images(self, number):
        """Return both images of a pair, uint8 (2, H, W, 3)."""
        import numpy as np

        return np.stack([self._pictures.read(self._row[side[number]]) for side in self._pairs[:2]])


def _listed(args, result, card, listed):
    """Print and write the result of listed pairs, as `gluonface eval verification` does."""
    import dataclasses
    import logging
    import pathlib
    import sys

    from ..evaluation.results.verification_result import document, table
    from ..files import sha256, write_json

    name = args.name or pathlib.Path(args.pairs).stem
    result = dataclasses.replace(
        result, pack=name, pack_sha256=sha256(args.pairs), model=card and card["source"]
    )
    for note in result.notes:
        logging.getLogger(__name__).warning("%s: %s", name, note)
    sys.stdout.write(table([result]) + "\n")
    if args.json:
        write_json(eval_common.writable(args.json), document([result], card))
    if args.report:
        from ..evaluation.report.verification_report import write_report

        packs = {name: _ListedPictures(*listed)} if listed[2] is not None else None
        write_report(args.report, [result], packs, card)
    return 0
