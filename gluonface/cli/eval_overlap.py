"""`gluonface eval overlap`: people and images of a test set who are in the training set."""

from . import eval_common
from ._network_options import add_model, add_network_options

__all__ = ["add_arguments", "run"]

SHOWN = 10  # candidates on standard output
CARDS = 200  # on the page


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    training = parser.add_mutually_exclusive_group(required=True)
    training.add_argument(
        "--train",
        metavar="DATA",
        help="the training set: a record folder, a folder with a folder for each person, or "
        "embeddings (.npz with label or path)",
    )
    training.add_argument(
        "--centers",
        metavar="RUN|C.npy",
        help="instead, the class centres of the head: a run folder or an array (C,D) of the same "
        "model; embeddings of people in the training set are near to their class centres",
    )
    parser.add_argument(
        "--test",
        required=True,
        metavar="DATA",
        help="the test set: a verification pack (.bin), a folder with a folder for each person, a "
        "record folder, or embeddings (.npz)",
    )
    add_model(
        parser,
        help="computes embeddings that are missing: {}; with stored embeddings: checks that they "
        "were made by this model",
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument(
        "--cosine",
        type=float,
        metavar="T",
        help="list test people whose cosine to a training person is T or more (if not given, the "
        "smallest cosine that at most 1 %% of the training people have to another)",
    )
    limit.add_argument(
        "--fpir",
        type=float,
        metavar="F",
        help="instead, the cosine that a share F of the training images has to another training "
        "person",
    )
    parser.add_argument(
        "--images", action="store_true", help="look for nearly the same images as well, by dHash"
    )
    parser.add_argument("--folds", type=int, default=10, help="of a pack's accuracy")
    parser.add_argument("--batch-size", type=int, default=64, help="images per forward pass")
    add_network_options(parser)
    parser.add_argument("--ctx", metavar="DEVICE", help="cpu, gpu, gpu1 (a GPU if there is one)")
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="where embeddings are kept, so that interrupted work goes on (if not given, "
        "gluonface/embeddings in $XDG_CACHE_HOME or ~/.cache)",
    )
    parser.add_argument("--no-cache", action="store_true", help="store no embeddings on disk")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--report", metavar="DIR", help="write overlap.csv, images.csv and a page to look through"
    )


def run(args):
    """Look for the people, print, write; return the exit status."""
    import pathlib
    import sys

    from ..errors import InputError
    from ..evaluation.protocols import overlap
    from ..files import write_json
    from ._data_common import check_outputs

    check_outputs(("--json", args.json))
    if args.report:
        eval_common.make_parent(pathlib.Path(args.report) / "index.html")
    if args.fpir is not None and args.centers:
        raise InputError("--fpir needs --train: its images are searched for")
    if args.cosine is not None and not -1 < args.cosine < 1:
        raise InputError(f"--cosine is {args.cosine:g}; expected more than -1 and less than 1")
    args.parallel, args.allow_bad = "none", 0
    model = []  # opened when it is first needed
    train = None if args.centers else _Set(args, args.train, model)
    test = _Set(args, args.test, model)
    if args.images and not (train and train.images and test.images):
        raise InputError("--images needs both sets as images: records, folders or a pack")
    _check_models(args, train, test)
    templates, people = _training(args, train)
    sums, tested = overlap.people_templates(test.outputs, test.person)
    if templates.shape[1] != sums.shape[1]:
        raise InputError(
            f"the training people have {templates.shape[1]} values and the test people "
            f"{sums.shape[1]}; embeddings of one model were expected"
        )
    threshold = _threshold(args, train, templates, people)
    found = overlap.find_overlap(templates, sums, threshold)
    rows = [(test.name(tested[a]), _name(train, people[b]), c) for a, b, c in found.flagged]
    result = {**found.to_dict(), "train_people": len(people)}
    result["flagged"] = [list(row) for row in rows]
    result["own_pairs"] = int((overlap.best_others(templates) >= threshold).sum())
    lines = [
        f"{len(rows):,} of {len(tested):,} test people ({found.share:.1%}) are perhaps among "
        f"{len(people):,} training people, at a cosine of {threshold:.3f} or more".replace(
            "%", " %"
        ),
        f"{result['own_pairs']:,} training people are as near to another training person",
        *(f"  {a}  {b}  {c:.3f}" for a, b, c in rows[:SHOWN]),
    ]
    if len(rows) > SHOWN:
        lines.append(f"  and {len(rows) - SHOWN:,} more" + (", see --report" * (not args.report)))
    flagged = {tested[a] for a, _, _ in found.flagged}
    if test.issame is not None:
        lines += _accuracy(args, test, flagged, result)
    copies = _copies(train, test) if args.images else None
    if copies is not None:
        result["near_images"] = len(copies)
        lines.append(f"{len(copies):,} pairs of a training and a test image are nearly the same")
    sys.stdout.write("\n".join(lines) + "\n")
    if args.report:
        _report(args, train, test, people, tested, found, rows, copies, lines)
    if args.json:
        write_json(args.json, result)
    return 0


class _Set:
    """One of the two sets.

    Attributes
    ----------
    outputs : numpy.ndarray (n, D)
    person : numpy.ndarray (n,)
        Who is on each image.
    images : object or None
        With ``read(number)``, where there are images.
    issame : numpy.ndarray or None
        Of the pairs of a pack.
    origin : EmbeddingOrigin or None
        Of stored embeddings.
    """

    def __init__(self, args, path, model):
        import pathlib

        import numpy as np

        self.path, self.images, self.issame, self.origin = pathlib.Path(path), None, None, None
        self.pack = False
        if self.path.suffix in (".npz", ".npy"):
            self._load()
            return
        if self.path.suffix == ".bin" and self.path.is_file():
            from ..data import VerificationPack
            from ..evaluation.protocols.overlap import people_of_pairs

            pack = VerificationPack.load(self.path)
            self.pack, self.issame = True, np.asarray(pack.issame, bool)
            self.person = people_of_pairs(pack.bins, pack.issame)
            key = f"{pack.sha256}"
            self.images = _Images(len(pack.bins), pack.image, key, f"{self.path}: image")
        elif self.path.suffix == ".rec" or (self.path.is_dir() and any(self.path.glob("*.rec"))):
            from ..data import RecordDataset

            records = RecordDataset(self.path, cache=0)
            self.person = np.asarray(records.labels, np.int64)
            self.images = _Images(
                len(records), lambda number: records[number][0], records.stamp(), str(records.path)
            )
        else:
            from ..data.sources import open_source
            from ..evaluation.files.image_list import FaceImages

            source = open_source(self.path)
            self.person = np.array([source.identity(row) for row in range(len(source))])
            self.images = FaceImages(source)
        self.outputs = self._embed(args, model)

    def _load(self):
        import numpy as np

        from ..errors import InputError
        from ..evaluation.files.feature_files import load_features
        from ..evaluation.protocols.overlap import people_of_pairs
        from ..evaluation.scores.flip import merge_outputs

        held = load_features(self.path)
        self.origin = held.origin
        self.outputs = held.e if held.f is None else merge_outputs(held.e, held.f, "sum")
        if "label" in held.arrays:
            self.person = held.arrays["label"]
        elif held.names is not None:
            self.person = np.array([str(name).split("/")[0] for name in held.names])
        elif "issame" in held.arrays:
            self.pack, self.issame = True, np.asarray(held.arrays["issame"], bool)
            # Without images those of a same pair are all that is known to be one person.
            rows = [row.tobytes() for row in np.ascontiguousarray(self.outputs)]
            self.person = people_of_pairs(rows, self.issame)
        else:
            raise InputError(
                f"{self.path} does not say who is on its images; expected an array label, path or "
                "issame, as `gluonface embed` writes them"
            )
        if self.person.shape != (len(self.outputs),):
            raise InputError(
                f"{self.path} has {len(self.outputs)} embeddings, but what says who is on them has "
                f"the shape {self.person.shape}"
            )

    def _embed(self, args, model):
        from ..errors import InputError
        from ..evaluation.scores.flip import merge_outputs

        if args.model is None:
            raise InputError(f"--model is missing: what is to embed {self.path}?")
        if not model:
            model.append(eval_common.open_model(args))
        found = eval_common.embed(args, model[0], self.images, self.path.name)
        return merge_outputs(found.e, found.f, "sum")

    def name(self, person):
        """Return what a person is called."""
        return f"person {person} of the pairs" if self.pack else str(person)

    def example(self, person):
        """Return the number of the first image of a person."""
        import numpy as np

        return int(np.flatnonzero(self.person == person)[0])


class _Images:
    """Images as `embedding_cache.embed_images` takes them."""

    def __init__(self, count, read, key, word):
        self.count, self.read, self._key, self.word = count, read, key, word
        self.names = self

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        return f"{self.word} {number}"

    def key(self):
        return self._key


def _check_models(args, train, test):
    """Refuse sets that were embedded by different models."""
    from ..data.embedding_origin import EmbeddingOrigin
    from ..weights import open_weights

    sources = [
        (held.path, held.origin) for held in (train, test) if held and held.origin is not None
    ]
    if args.model and sources:
        identity = open_weights(args.model).identity
        sources.insert(0, (args.model, EmbeddingOrigin(identity, "sum")))
    eval_common.check_one_origin(*sources)


def _training(args, train):
    """Return a vector of each training person, and the people."""
    from ..data.tools.stored_embeddings import load_centers
    from ..evaluation.protocols.overlap import people_templates
    from ..evaluation.scores.feature_matrix import unit_matrix

    if train is not None:
        return people_templates(train.outputs, train.person)
    centers = load_centers(args.centers)
    units = unit_matrix(centers.reshape(-1, centers.shape[-1]), args.centers)[0]
    return units.reshape(centers.shape).sum(axis=1), list(range(len(centers)))


def _threshold(args, train, templates, people):
    """Return the cosine from which on people are listed."""
    import numpy as np

    from ..evaluation.protocols import overlap

    if args.cosine is not None:
        return args.cosine
    if args.fpir is None:
        return overlap.strict_threshold(overlap.best_others(templates))
    rows = np.searchsorted(np.array(people), train.person)
    return overlap.strict_threshold(overlap.best_others(templates, train.outputs, rows), args.fpir)


def _name(train, person):
    return f"class {person}" if train is None else train.name(person)


def _accuracy(args, test, flagged, result):
    """Return lines about the accuracy of a pack with and without the flagged people."""
    import numpy as np

    from ..evaluation.metrics.bootstrap import LEVEL
    from ..evaluation.protocols import overlap, verification

    kept = overlap.kept_pairs(test.person, flagged)
    lines = [f"{np.count_nonzero(~kept):,} of {len(kept):,} pairs show such people"]
    result["pairs_touched"], result["pairs"] = int(np.count_nonzero(~kept)), len(kept)
    for name, chosen in (("all pairs", np.ones(len(kept), bool)), ("the other pairs", kept)):
        same = test.issame[chosen]
        kinds = np.count_nonzero(same), np.count_nonzero(~same)
        if min(kinds) < overlap.LEAST or len(same) < args.folds:
            lines.append(
                f"accuracy on {name}: none; {kinds[0]} same and {kinds[1]} different pairs are "
                f"left, {overlap.LEAST} of each are needed"
            )
            continue
        found = verification.evaluate(
            test.outputs[0::2][chosen], test.outputs[1::2][chosen], same, args.folds, draws=1000
        )
        lines.append(
            f"accuracy on {name}: {found.accuracy:.4f}, {LEVEL:.0%} interval ".replace("%", " %")
            + f"{found.accuracy_low:.4f} to {found.accuracy_high:.4f} ({len(same):,} pairs)"
        )
        key = "accuracy_all" if name == "all pairs" else "accuracy_without"
        result[key] = [found.accuracy, found.accuracy_low, found.accuracy_high]
    return lines


def _copies(train, test):
    """Return (test image, training image, bits, mirrored) of images that are nearly the same."""
    import numpy as np

    from ..data.image_hash import hash_image, near_hashes

    hashes = []
    for held in (train, test):
        with eval_common.progress_bar(len(held.images), "img", f"hash {held.path.name}") as bar:
            own = []
            for number in range(len(held.images)):
                own.append(held.images.read(number))
                own[-1] = hash_image(own[-1]), hash_image(own[-1], mirror=held is test)
                bar.update(1)
        hashes.append(np.array(own, np.uint64).reshape(-1, 2))
    found = {}
    for side, mirrored in ((0, False), (1, True)):
        for a, b, bits in near_hashes(hashes[1][:, side], hashes[0][:, 0]):
            if (a, b) not in found or bits < found[a, b][0]:
                found[a, b] = bits, mirrored
    return [(a, b, *found[a, b]) for a, b in sorted(found)]


def _report(args, train, test, people, tested, found, rows, copies, lines):
    """Write the tables and the page."""
    import pathlib

    from ..data.text_files import write_table
    from ..evaluation.report import page_blocks
    from ..evaluation.report.report_folder import write_page

    folder = pathlib.Path(args.report)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(
        folder / "overlap.csv",
        ("test", "train", "cosine"),
        [(a, b, f"{c:.6f}") for a, b, c in rows],
    )
    if copies is not None:
        write_table(
            folder / "images.csv",
            ("test", "train", "bits", "mirrored"),
            [
                (test.images.names[a], train.images.names[b], bits, int(mirrored))
                for a, b, bits, mirrored in copies
            ],
        )
    cards = []
    for (a, b, cosine), (one, other, _) in list(zip(found.flagged, rows))[:CARDS]:
        sides = [_side(test, tested[a], one), _side(train, people[b], other)]
        shown = [side for side in sides if side["images"]]
        cards.append(
            {
                "wrong": True,
                "sides": shown,
                "heading": f"{one} and {other}",
                "body": f"cosine {cosine:.3f}",
                "small": "",
            }
        )
    content = [page_blocks.text("soft", line) for line in lines if not line.startswith("  ")]
    content.append({"kind": "errors", "title": "Perhaps one person", "cards": cards})
    page = {
        "title": "Overlap of training and test set",
        "heading": "Who of the test set is in the training set?",
        "summary": "These are candidates; people decide. ",
        "blocks": content,
    }
    write_page(folder, page, "gluonface eval overlap")


def _side(held, person, name):
    from ..evaluation.report.worst_errors import data_uri

    images = []
    if held is not None and held.images is not None:
        images = [data_uri(held.images.read(held.example(person)))]
    return {"name": name, "word": name, "images": images}
