"""`gluonface data clean`: leave out the images that are far from the centre of their class."""

import sys

from ._data_common import add_writing_options, check_outputs, print_rows, writing_options

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument("data", metavar="DATA", help="a record folder or a .rec file")
    parser.add_argument(
        "--centers",
        required=True,
        metavar="RUN|FILE.npy|means",
        help="class centres: a run folder (its best checkpoint), an array (C,D) or (C,K,D), or "
        "the class means of the embeddings",
    )
    parser.add_argument("--out", metavar="DIR", help="the folder of the cleaned set")
    parser.add_argument(
        "--embeddings",
        metavar="FILE",
        help="the embeddings of DATA: a .npz of `gluonface embed`, or a .npy",
    )
    parser.add_argument(
        "--model",
        metavar="SOURCE",
        help="without --embeddings, the model to embed with (the run of --centers if not given)",
    )
    parser.add_argument("--ctx", metavar="DEVICE", help="for --model: cpu, gpu, gpu1")
    parser.add_argument("--batch-size", type=int, default=64, help="images per forward pass")
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="where the embeddings of --model are stored, so that interrupted work continues and "
        "another --angle needs no new ones (default: gluonface/embeddings in $XDG_CACHE_HOME or "
        "~/.cache)",
    )
    parser.add_argument("--no-cache", action="store_true", help="store no embeddings on disk")
    parser.add_argument(
        "--angle",
        type=float,
        default=75.0,
        metavar="DEGREES",
        help="drop images farther from the dominant centre of their class; 75 is the paper's",
    )
    parser.add_argument(
        "--min-images",
        type=int,
        default=1,
        metavar="N",
        help="drop classes that are left with fewer images",
    )
    parser.add_argument(
        "--keep-ids",
        action="store_true",
        help="keep the numbers of the identities (if not given, they are renumbered without gaps)",
    )
    parser.add_argument(
        "--same",
        type=float,
        metavar="COSINE",
        help="list identities whose centres have this cosine or more, probably one person, in "
        "DIR/same.csv; `gluonface data merge DIR --map DIR/same.csv` joins them",
    )
    parser.add_argument(
        "--report", metavar="FILE.csv", help="the dropped images (if not given DIR/dropped.csv)"
    )
    parser.add_argument("--dry-run", action="store_true", help="write no set, only the reports")
    add_writing_options(parser)


def run(args):
    """Run the command and return the exit status."""
    import pathlib

    from ..data import RecordDataset
    from ..data.tools import clean, stored_embeddings
    from ..errors import InputError
    from ..files import write_json

    _check(args)
    dataset = RecordDataset(args.data, cache=0)
    centers = None
    if args.centers != "means":
        centers = stored_embeddings.load_centers(args.centers)
        if len(centers) != dataset.num_classes:
            raise InputError(
                f"--centers {args.centers} has {len(centers)} classes, {dataset.path} "
                f"{dataset.num_classes}; give the centres of a run on this set"
            )
    embeddings = _embeddings(args, dataset)
    if centers is None:
        centers = clean.class_means(
            embeddings, dataset.labels, dataset.num_classes, key=dataset.key
        )
    found = clean.find_mislabelled(
        embeddings, dataset.labels, centers, args.angle, args.min_images, key=dataset.key
    )
    written = None
    if not args.dry_run:
        written = clean.write_clean(
            dataset, found, centers, args.out, args.keep_ids, **writing_options(args)
        )
    report = args.report
    if report is None and not args.dry_run:
        report = pathlib.Path(args.out) / "dropped.csv"
    if report is not None:
        clean.write_dropped(report, found, dataset.key)
    summary = {
        "records": str(dataset.path),
        "centers": args.centers,
        "subcenters": int(centers.shape[1]),
        **found.summary(),
    }
    if written is not None:
        summary["left_out"] = [list(item) for item in written["left_out"]]
    if args.same is not None:
        summary["same_people"] = _write_duplicates(args, found, centers)
    _print(summary, args, report)
    if args.json:
        write_json(args.json, summary)
    return 0


def _write_duplicates(args, found, centers):
    """Write the pairs of identities that are probably one person; return how many."""
    import pathlib

    import numpy as np

    from ..data.tools.duplicate_identities import (
        find_duplicate_identities,
        write_duplicate_identities,
    )

    classes = found.classes
    dense = not (args.keep_ids or args.dry_run)
    numbers = np.arange(len(classes)) if dense else classes
    pairs = find_duplicate_identities(centers[classes, found.dominant[classes]], numbers, args.same)
    if not args.dry_run:
        write_duplicate_identities(pathlib.Path(args.out) / "same.csv", pairs)
    return len(pairs)


def _check(args):
    """Check all options before any work."""
    import pathlib

    from ..errors import InputError

    if args.out is None and not args.dry_run:
        raise InputError("--out is missing; give the folder of the cleaned set, or --dry-run")
    if args.out is not None and not args.dry_run:
        from ..data.tools.resumable_writer import check_free

        check_free(args.out, args.overwrite)
    check_outputs(("--report", args.report), ("--json", args.json))
    if not 0.0 < args.angle <= 180.0:
        raise InputError(f"--angle is {args.angle:g}; more than 0 and at most 180 was expected")
    if args.same is not None and not 0.0 < args.same < 1.0:
        raise InputError(f"--same is {args.same:g}; more than 0 and less than 1 was expected")
    for option in ("min_images", "batch_size"):
        if getattr(args, option) < 1:
            name = option.replace("_", "-")
            raise InputError(f"--{name} is {getattr(args, option)}; 1 or more was expected")
    if args.embeddings is not None and args.model is not None:
        raise InputError("--embeddings and --model were both given; give one of them")
    if args.centers != "means" and not pathlib.Path(args.centers).exists():
        raise InputError(
            f"--centers {args.centers} is not there; a run folder, a .npy file or the word means "
            "was expected"
        )
    is_run = pathlib.Path(args.centers).is_dir() and args.centers != "means"
    if args.embeddings is None and args.model is None and not is_run:
        raise InputError(
            "give --embeddings (a file of `gluonface embed`) or --model; only a run folder as "
            "--centers has a model of its own"
        )


def _embeddings(args, dataset):
    """Read the embeddings, or make them."""
    from ..data.tools import stored_embeddings

    if args.embeddings is not None:
        return stored_embeddings.load_embeddings(
            args.embeddings, dataset.labels, _model_of_centers(args)
        )

    from ..deploy import combine_views
    from . import eval_common

    args.model = args.model or args.centers
    args.parallel, args.allow_bad = "none", 0
    args.precision, args.color = "float32", None
    model = eval_common.open_model(args)
    found = eval_common.embed(args, model, _Images(dataset))
    return combine_views(found.e, found.f, "sum")


def _model_of_centers(args):
    """Return the identity of the model of the centres' run; None if there is none."""
    import contextlib
    import pathlib

    from ..errors import GluonfaceError
    from ..weights import open_weights

    if args.centers != "means" and pathlib.Path(args.centers).is_dir():
        with contextlib.suppress(GluonfaceError):  # a checkpoint's folder alone is no model
            return open_weights(args.centers).identity
    return None


class _Images:
    """The images of a set as `embedding_cache.embed_images` takes them."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.names = self

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, number):
        return f"{self.dataset.path}: record {self.dataset.key(number)}"

    def read(self, number):
        return self.dataset[number][0]

    def key(self):
        return self.dataset.stamp()


def _print(summary, args, report):
    n = summary
    share = 100.0 * n["dropped"] / n["images"]
    rows = [
        ("records", n["records"]),
        ("centres", f"{n['centers']}, {n['subcenters']} for each class"),
        (
            "images",
            f"{n['images']:,}: {n['kept']:,} kept, {n['dropped']:,} dropped ({share:.1f} %)",
        ),
        ("", f"{n['dropped_angle']:,} farther than {n['angle_limit']:g} degrees"),
        ("", f"{n['dropped_class']:,} in classes left with fewer than {n['min_images']}"),
        ("", f"{n['not_nearest_to_dominant']:,} nearest to a sub-centre that is not dominant"),
        ("identities", f"{n['identities']:,}: {n['identities_kept']:,} kept"),
        ("mean angle", f"{n['mean_angle']:.1f} degrees"),
    ]
    if "same_people" in n:
        where = "" if args.dry_run else f", see {args.out}/same.csv"
        rows.append(("same people", f"{n['same_people']:,} pairs of identities{where}"))
    if n.get("left_out"):
        where = f"see {args.out}/left_out.csv"
        rows.append(("left out", f"{len(n['left_out']):,} that cannot be read, {where}"))
    if report is not None:
        rows.append(("report", str(report)))
    rows.append(("written", "nothing (--dry-run)" if args.dry_run else args.out))
    print_rows(rows)
    width, bars = n["histogram"]["degrees"], n["histogram"]["images"]
    filled = [i for i, images in enumerate(bars) if images]
    for i in range(filled[0], filled[-1] + 1):
        mark = "#" * -(-40 * bars[i] // max(bars))
        text = f"{i * width:3} to {(i + 1) * width:3} {bars[i]:12,} {mark}"
        sys.stdout.write(text.rstrip() + "\n")
