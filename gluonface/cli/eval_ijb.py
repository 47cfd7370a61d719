"""`gluonface eval ijb`: IJB-B and IJB-C, 1:1 verification and 1:N search of templates."""

from . import eval_common

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    group = parser.add_argument_group("lists")
    group.add_argument(
        "--meta",
        required=True,
        metavar="DIR",
        help="CVLface's Arrow folder (IJBB_gt_aligned, IJBC_gt_aligned), which has the images and "
        "needs no --images; or the folder of the lists: *_face_tid_mid.txt, *_name_5pts_score.txt, "
        "*_template_pair_label.txt (1:1), *_1N_gallery_*.csv and *_1N_probe_mixed.csv (1:N)",
    )
    group.add_argument(
        "--task",
        choices=("1:1", "1:N", "all"),
        default="all",
        help="all: every task whose lists are there",
    )
    group.add_argument(
        "--normalize-images",
        action="store_true",
        help="give every image's feature the same length before pooling; published tables keep it",
    )
    group.add_argument(
        "--no-detector-weights",
        action="store_true",
        help="do not weight images with the detector's score; published tables do",
    )
    group.add_argument(
        "--joint",
        action="store_true",
        help="add the 1:N figures of the older ijb_1n.py, to compare with its tables only",
    )
    eval_common.add_fpirs(group, (0.01, 0.1))
    eval_common.add_model_arguments(
        parser, "the loose crops; they are aligned with the five points of the lists"
    )
    stored = parser.add_argument_group("from stored features")
    stored.add_argument(
        "--embeddings",
        metavar="FILE",
        help="un-normalised outputs, .npz with e (and f of the mirrors) or .npy, in the order of "
        "the lists or with their names (array path)",
    )
    eval_common.add_arguments(parser, "1e-6 to 1e-1", "templates (1:1) and subjects (1:N)")


def run(args):
    """Pool, verify, search; return the exit status."""
    import dataclasses
    import pathlib

    import numpy as np

    from ..data.formats.arrow_rows import is_saved_set
    from ..errors import InputError
    from ..evaluation.files import cvlface_sets
    from ..evaluation.protocols import ijb
    from ..evaluation.scores import templates

    saved = is_saved_set(pathlib.Path(args.meta))
    if saved and args.model and not args.images:
        args.images = args.meta  # they are in it
    stored = eval_common.uses_stored_features(args, "--embeddings", args.embeddings)
    probe_file = crops = None
    if saved and args.task == "1:N":
        raise InputError(f"{args.meta} is CVLface's form, which has pairs (1:1) and no 1:N")
    if saved:
        images, pairs, crops = cvlface_sets.read_templates(args.meta)
    else:
        images, pairs, probe_file = _read_lists(args, stored)
    known = np.unique(images.template)  # a list that does not fit is an error now
    if pairs is not None:
        ijb.find_pairs(known, pairs)
    lists = _lists(args.meta, probe_file, known)
    e, f, card, inputs, aligned, origin = _outputs(args, images, stored, crops)
    if e is None:
        return 0  # a rank that only helped
    flip = eval_common.flip_of(args, f, origin and origin.flip)
    options = eval_common.compare_options(args)
    settings = {
        "normalize_images": args.normalize_images,
        "detector_weights": not args.no_detector_weights,
        "precision": eval_common.score_precision(args),
    }
    ids, units = templates.pool(
        e,
        images.template,
        images.media,
        f if flip == "sum" else None,
        None if args.no_detector_weights else images.quality,
        args.normalize_images,
        options.pop("dtype"),
    )
    inputs = {**images.sha256, **inputs}
    results = []
    if pairs is not None:
        results.append(
            ijb.verify(
                ids,
                units,
                pairs,
                fars=args.fars or ijb.DEFAULT_FARS,
                settings=settings,
                **options,
            )
        )
    if probe_file is not None:
        probes, galleries, digests = lists
        inputs.update(digests)
        results.append(ijb.identify(ids, units, probes, galleries, fpirs=args.fpirs, **options))
        if args.joint:
            product = options["product"]
            results.append(ijb.identify_jointly(ids, units, probes, galleries, product=product))
    results = [
        dataclasses.replace(result, settings={**settings, **result.settings}) for result in results
    ]
    sides = _sides(images, aligned, lists)
    return eval_common.finish(args, results, card, inputs, flip, sides)


def _sides(images, aligned, lists):
    """Return the function that names and shows the templates of the worst errors."""
    import numpy as np

    from ..evaluation.report.worst_errors import ErrorSide

    if lists is not None:
        (probes, _), galleries, _ = lists

    def side(template):
        rows = np.flatnonzero(images.template == template)[:4]
        read = aligned and (lambda: [aligned.read(int(row)) for row in rows])
        return ErrorSide(f"template {template}", read)

    def sides(result, error):
        if result.protocol == "IJB 1:1":
            return side(error.a), side(error.b)
        if result.name in galleries:
            gallery = galleries[result.name][0]
        else:
            gallery = np.concatenate([templates for templates, _ in galleries.values()])
        search = eval_common.search_sides(
            lambda row: side(probes[row]), lambda row: side(gallery[row])
        )
        return search(result, error)

    return sides


def _lists(meta, probe_file, known):
    """Return probes, galleries by name, and the SHA-256 of their lists; None without probes.

    `known` are the templates that have images.
    """
    from ..errors import InputError
    from ..evaluation.files import ijb_lists
    from ..files import sha256

    if probe_file is None:
        return None
    files = ijb_lists.find(meta, "galleries")
    if not files:
        raise InputError(f"{meta} holds no gallery list beside {probe_file.name}")
    probes = ijb_lists.read_template_subjects(probe_file)
    ijb_lists.check_templates(probe_file, *probes, known)
    galleries = {}
    for file in files:
        gallery = ijb_lists.read_template_subjects(file)
        ijb_lists.check_templates(file, *gallery, known, unique=True)
        galleries[file.stem.split("_")[-1]] = gallery
    return probes, galleries, {file.name: sha256(file) for file in (probe_file, *files)}


def _read_lists(args, stored):
    """Return the images, the pairs and the file of the probes; None where there is none."""
    from ..errors import InputError
    from ..evaluation.files import ijb_lists

    points = ijb_lists.find(args.meta, "points", optional=stored and args.no_detector_weights)
    images = ijb_lists.read_images(ijb_lists.find(args.meta, "media"), points)
    optional = args.task == "all"
    pair_file = probe_file = None
    if args.task != "1:N":
        pair_file = ijb_lists.find(args.meta, "pairs", optional)
    if args.task != "1:1":
        probe_file = ijb_lists.find(args.meta, "probes", optional)
    if pair_file is None and probe_file is None:
        raise InputError(f"{args.meta} holds neither a list of pairs nor lists of 1:N")
    return images, pair_file and ijb_lists.read_pairs(pair_file), probe_file


def _outputs(args, images, stored, crops=None):
    """Return e, f, card, SHA-256 of inputs, aligned images, origin; e is None on a helping rank."""
    from ..evaluation.files.feature_files import load_features
    from ..evaluation.files.image_list import ImageList

    if stored:
        held = load_features(args.embeddings).in_order_of(images.names, f"{args.meta}")
        eval_common.check_origin(args, held.path, held.origin)
        return held.e, held.f, None, {held.path.name: held.sha256}, None, held.origin
    aligned = crops or ImageList(args.images, images.names, images.points)
    model = eval_common.open_model(args)
    found = eval_common.embed(args, model, aligned)
    if found is None:
        return None, None, None, None, None, None
    card = eval_common.card_of(args, model)
    return found.e, found.f, card, {"images (aligned pixels)": found.sha256}, aligned, None
