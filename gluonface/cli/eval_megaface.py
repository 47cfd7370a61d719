"""`gluonface eval megaface`: find a face among up to a million distractors."""

from . import eval_common

__all__ = ["add_arguments", "run"]

STORED = "as stored"  # a .bin file does not say which flip form it holds


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    group = parser.add_argument_group("lists")
    group.add_argument(
        "--probe-list",
        required=True,
        metavar="FILE",
        help="facescrub_features_list.json: path and id of each probe",
    )
    group.add_argument(
        "--distractor-list",
        required=True,
        nargs="+",
        metavar="FILE",
        help="megaface_features_list.json_SIZE_SET; each list gives one result",
    )
    group.add_argument("--probe-noise", metavar="FILE", help="facescrub_noises.txt: refined, (R)")
    group.add_argument(
        "--distractor-noise", metavar="FILE", help="megaface_noises.txt: refined, (R)"
    )
    group.add_argument(
        "--removed",
        choices=("drop", "zero"),
        default="drop",
        help="noisy distractors: left out, or a score of 0 that stays in the count (FaceX-Zoo)",
    )
    group.add_argument(
        "--probe-pairs",
        action="store_true",
        help="count pairs of probes of two people as different pairs too, as some tools do",
    )
    group.add_argument(
        "--ranks",
        type=int,
        nargs="+",
        default=[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        metavar="N",
        help="a probe counts if its mate is among the N best",
    )
    eval_common.add_model_arguments(parser, "aligned probes, by the paths of the probe list")
    parser.add_argument(
        "--distractor-images", metavar="DIR", help="aligned distractors, by the paths of their list"
    )
    stored = parser.add_argument_group("from stored features")
    stored.add_argument(
        "--probe-features",
        metavar="DIR|FILE",
        help="a folder of one .bin an image (see --suffix), or .npy/.npz in the list's order or "
        "with names",
    )
    stored.add_argument("--distractor-features", metavar="DIR|FILE", help="the same")
    stored.add_argument(
        "--suffix",
        default="",
        metavar="TEXT",
        help="what follows an image's path in the name of its .bin file, such as _r50.bin",
    )
    eval_common.add_arguments(parser, "1e-6 1e-5 1e-4", "probe identities")


def run(args):
    """Compare, print, write; return the exit status."""
    from ..errors import InputError
    from ..evaluation.files import megaface_lists
    from ..evaluation.files.image_list import ImageList
    from ..evaluation.protocols import megaface
    from ..files import sha256

    stored = eval_common.uses_stored_features(args, "--probe-features", args.probe_features)
    if stored != bool(args.distractor_features) or stored == bool(args.distractor_images):
        raise InputError(
            "distractors are missing: --probe-features goes with --distractor-features, and "
            "--images with --distractor-images"
        )
    paths, people = megaface_lists.read_probes(args.probe_list)
    lists = {file: megaface_lists.read_distractors(file) for file in args.distractor_list}
    noise = {
        option: getattr(args, option) and megaface_lists.read_noise(getattr(args, option))
        for option in ("probe_noise", "distractor_noise")
    }
    model = None if stored else eval_common.open_model(args)
    inputs = {
        _name(file): sha256(file)
        for file in (args.probe_list, args.probe_noise, args.distractor_noise)
        if file
    }
    probes, flip, of_probes, source = _features(
        args, model, args.probe_features, args.images, paths, "probes"
    )
    results = []
    for file, names in lists.items():
        distractors, own_flip, of_distractors, _ = _features(
            args,
            model,
            args.distractor_features,
            args.distractor_images,
            names,
            "distractors",
            source,
        )
        if distractors is None:
            continue  # a rank that only helped
        if own_flip != flip and STORED not in (flip, own_flip):
            raise InputError(
                f"probes are of the flip form {flip} and distractors {own_flip}: give --flip none"
            )
        with eval_common.progress_bar(len(names), "img", _name(file)) as bar:
            results.append(
                megaface.evaluate(
                    probes,
                    people,
                    distractors,
                    noisy_probes=noise["probe_noise"]
                    and megaface_lists.mark_probes(paths, noise["probe_noise"]),
                    noisy_distractors=noise["distractor_noise"]
                    and megaface_lists.mark_distractors(names, noise["distractor_noise"]),
                    removed=args.removed,
                    probe_pairs=args.probe_pairs,
                    ranks=args.ranks,
                    fars=args.fars or megaface.DEFAULT_FARS,
                    name=_title(args, file),
                    progress=bar.update,
                    **eval_common.compare_options(args),
                )
            )
        digests = {"probes": of_probes(), f"distractors of {_name(file)}": of_distractors()}
        inputs.update({_name(file): sha256(file), **digests})
    if not results:
        return 0
    card = eval_common.card_of(args, model)
    shown = {
        "probes": eval_common.image_sides(paths, args.images and ImageList(args.images, paths)),
        **{
            _title(args, file): eval_common.image_sides(
                names, args.distractor_images and ImageList(args.distractor_images, names)
            )
            for file, names in lists.items()
        },
    }

    sizes = {_title(args, file): len(names) for file, names in lists.items()}

    def sides(result, error):
        of_probes, listed = shown["probes"], sizes[result.name]
        if error.kind == "lowest same":
            return of_probes(error.a), of_probes(error.b)
        if error.b >= listed:  # a pair of probes
            return of_probes(error.a), of_probes(error.b - listed)
        return of_probes(error.a), shown[result.name](error.b)

    return eval_common.finish(args, results, card, inputs, flip, sides)


def _name(file):
    import pathlib

    return pathlib.Path(file).name


def _title(args, file):
    """Return the name of a list's result, which tells several lists apart."""
    one = len(args.distractor_list) == 1
    return args.name if one and args.name else " ".join(filter(None, (args.name, _name(file))))


def _features(args, model, stored, folder, names, what, before=None):
    """Return features (None on a helping rank), flip form, a function for their SHA-256, origin."""
    import pathlib

    from ..errors import InputError
    from ..evaluation.files.feature_files import BinFolder, load_features
    from ..evaluation.files.image_list import ImageList

    if model is not None:
        found = eval_common.embed(args, model, ImageList(folder, names), what)
        if found is None:
            return None, None, None, None
        return (*eval_common.merge_views(args, found.e, found.f), lambda: found.sha256, None)
    if pathlib.Path(stored).is_dir():
        if args.flip:
            raise InputError(f"{stored}: a .bin holds one feature an image; leave out --flip")
        features = BinFolder(stored, names, args.suffix)
        # its SHA-256 is computed while they are compared
        return features, STORED, lambda: features.sha256, (stored, None)
    held = load_features(stored).in_order_of(names, what)
    source = (held.path, held.origin)
    eval_common.check_origin(args, *source)
    eval_common.check_one_origin(before, source)
    return (
        *eval_common.merge_views(args, held.e, held.f, held.origin),
        lambda: held.sha256,
        source,
    )
