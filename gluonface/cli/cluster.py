"""`gluonface cluster`: which faces of many belong together."""

from ._network_options import add_model
from ._threshold_options import add_threshold_options
from .compare import add_reader_arguments, open_reader

__all__ = ["add_arguments", "run"]

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument(
        "faces",
        metavar="PHOTOS|CROPS|EMB.npz",
        help="a folder of photographs or of aligned crops of 112x112, subfolders too, or the "
        "embeddings of `gluonface embed`",
    )
    parser.add_argument(
        "out", metavar="OUT", help="a new folder: clusters.csv, names.csv and index.html"
    )
    add_model(parser, help="{}; of embeddings: the model that must have made them")
    add_threshold_options(
        parser,
        fmr="link faces at this false match rate (if not given 1 / (10 faces), about one false "
        "link for ten faces, or the smallest that the calibration supports)",
        threshold="link faces above your own threshold, a cosine",
    )
    parser.add_argument(
        "--smallest-cluster", type=int, default=2, metavar="N", help="faces of a cluster, at least"
    )
    parser.add_argument(
        "--names", metavar="G", help="name the clusters by a gallery of the same model"
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--link", action="store_true", help="make a folder of links for each cluster: OUT/0001/..."
    )
    way.add_argument("--copy", action="store_true", help="make a folder of copies for each cluster")
    parser.add_argument(
        "--pictures", metavar="DIR", help="of embeddings: the folder of their crops, to be shown"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the order of the algorithm")
    add_reader_arguments(parser)
    parser.add_argument("--json", metavar="FILE", help="write counts and threshold to FILE")


def run(args):
    """Cluster, write, print; return the exit status."""
    import logging
    import pathlib
    import sys

    from ..errors import InputError
    from ..files import write_json
    from ..recognition.clustering.cluster_folder import write_clusters
    from ._data_common import check_outputs, print_rows

    check_outputs(("--json", args.json))
    if args.threshold is not None and not -1 <= args.threshold < 1:
        raise InputError(f"--threshold is {args.threshold:g}; expected a cosine, -1 to below 1")
    source = pathlib.Path(args.faces)
    stored = source.suffix in (".npz", ".npy")
    if args.model is None and not stored:
        raise InputError("--model is missing: which model is to embed the faces?")
    if args.pictures and not stored:
        raise InputError("--pictures is for embeddings; a folder holds its pictures itself")
    work = _Work(args, source, stored)
    result = write_clusters(
        args.out,
        work.faces,
        work.threshold,
        work.facts,
        args.smallest_cluster,
        args.seed,
        "link" if args.link else "copy" if args.copy else None,
        work.names if args.names else None,
        product=work.product(),
    )
    clustering, faces = result.clustering, result.faces
    alone = int((clustering.label == 0).sum())
    for picture, reason in faces.left_out[:10]:
        logging.getLogger(__name__).warning("left out: %s: %s", picture, reason)
    print_rows(
        [
            ("faces", f"{len(faces.faces):,}"),
            ("clusters", f"{len(clustering.sizes):,}"),
            ("not grouped", f"{alone:,}, {int(faces.aside.sum()):,} of them for their quality"),
            ("left out", f"{len(faces.left_out):,} pictures"),
            ("threshold", work.meaning),
            ("written", f"{args.out}/clusters.csv, names.csv, index.html"),
        ]
    )
    if work.note:
        sys.stdout.write(f"{work.note}\n")
    if args.json:
        write_json(
            args.json,
            {
                "faces": len(faces.faces),
                "clusters": len(clustering.sizes),
                "sizes": clustering.sizes.tolist(),
                "not_grouped": alone,
                "left_out": [list(pair) for pair in faces.left_out],
                "threshold": clustering.threshold,
                "fmr": work.fmr,
                "seed": args.seed,
                "names": {str(number): name for number, name in result.names.items()},
            },
        )
    return 0


class _Work:
    """What `write_clusters` asks for, made of the options."""

    def __init__(self, args, source, stored):
        from ..errors import InputError
        from ..recognition.model_calibration import find_calibration
        from ..weights import open_weights

        self.args, self.source, self.stored = args, source, stored
        self.weights = open_weights(args.model) if args.model else None
        self.reader, self.calibration = None, None
        self.fmr, self.limit, self.meaning, self.note = None, None, "", ""
        self.held, why = None, "embeddings need --model or --calibration for a threshold"
        if stored:
            self.held = self._stored()
            self.flip, self.input = self._comparison()
        else:
            if not source.is_dir():
                raise InputError(f"there is no folder {source} of pictures")
            self.reader = open_reader(args, self.weights, self._some())
            self.flip, self.input = args.flip, self.reader.input
        if args.threshold is None and self.weights is not None:
            self.calibration, why = find_calibration(
                self.weights, self.flip, self.input, args.calibration
            )
        elif args.threshold is None and args.calibration:
            self.calibration = self._own_calibration()
        if args.threshold is None and self.calibration is None:
            raise InputError(f"there is no threshold: {why}; or give --threshold")
        if args.fmr is not None:
            self.calibration.threshold(args.fmr)  # an error now
        if self.reader is not None and self.calibration is not None:
            self.reader.norms = self.calibration.norm
        self.gallery = self._gallery() if args.names else None

    def _stored(self):
        from ..recognition.clustering.face_source import faces_of_npz
        from .eval_common import check_origin

        held = faces_of_npz(self.source, self.args.pictures)
        check_origin(self.args, self.source, held.origin)
        return held

    def _comparison(self):
        """Return the flip form and the way of cutting out of stored embeddings."""
        from ..recognition.faces import CROPS

        origin = self.held.origin
        flip = self.args.flip if origin is None or origin.flip is None else origin.flip
        return flip, self.held.input or CROPS

    def _own_calibration(self):
        from ..data.embedding_origin import ModelIdentity
        from ..errors import InputError
        from ..recognition import Calibration
        from ..recognition.model_calibration import require_match

        calibration = Calibration.load(self.args.calibration)
        if self.held.origin is None:
            raise InputError(
                f"{self.source} does not say which model made it; give --model, or --threshold"
            )
        own = self.held.origin.model
        identity = ModelIdentity(own.name, own.sha256, self.held.outputs.shape[1])
        require_match(calibration, identity, self.flip, self.input, self.args.calibration)
        return calibration

    def _some(self):
        """Return pictures whose sizes tell whether all are crops."""
        from ..data.sources.photo_folder import find_photos

        return [self.source / name for name in find_photos(self.source)]

    def _gallery(self):
        from ..recognition.gallery import Gallery

        gallery = Gallery.open(self.args.names)
        if self.reader is not None:
            gallery.require_model(self.reader.identity.to_dict(), self.flip, self.input)
        elif self.held.origin is not None:
            gallery.require_model(self.held.origin.model.to_dict(), self.flip)
        return gallery

    def product(self):
        """Return what multiplies: the GPU when --ctx names one, else NumPy."""
        from ..evaluation.scores.feature_matrix import multiply

        if self.args.ctx and self.args.ctx.startswith("gpu"):
            from ..deploy.device_matmul import DeviceProduct
            from ..deploy.embedder import context_of

            return DeviceProduct(context_of(self.args.ctx))
        return multiply

    def faces(self, folder):
        """Return the faces; `folder` is for what is done."""
        if self.held is not None:
            return self.held
        from ..recognition.clustering.face_source import faces_of_folder
        from .eval_common import progress_bar

        with progress_bar(len(self._some()), "img", "faces") as bar:
            return faces_of_folder(self.source, self.reader, folder, bar.update)

    def threshold(self, count):
        """Return the threshold for so many faces, and note what it means."""
        from ..recognition.clustering.clusters import cluster_threshold
        from ..recognition.trials import plain_rate

        if self.args.threshold is not None:
            self.meaning = f"{self.args.threshold:.3f}, yours: its error rates are not known"
            self.limit = self.args.threshold
            return self.limit
        if self.args.fmr is not None:
            limit, self.fmr = self.calibration.threshold(self.args.fmr)
        else:
            limit, self.fmr, enough = cluster_threshold(self.calibration, count)
            if not enough:
                self.note = (
                    f"{count:,} faces need FMR {plain_rate(1 / (10 * count))} for about one false "
                    f"link in ten faces; the calibration supports {plain_rate(self.fmr)} at best, "
                    "so that some clusters may hold two people"
                )
        self.meaning, self.limit = f"{limit:.3f}, FMR {plain_rate(self.fmr)}", limit
        return limit

    def facts(self, faces):
        """Return what the page says above the clusters."""
        model = None
        if self.reader is not None:
            model = str(self.reader.identity)
        elif faces.origin is not None:
            model = str(faces.origin.model)
        return {
            "faces": f"{len(faces.faces):,}",
            "threshold": self.meaning,
            "note": self.note,
            "model": model,
            "faces cut out by": self.input,
            "left out": f"{len(faces.left_out):,} pictures" if faces.left_out else None,
        }

    def names(self, sums):
        """Return the names of clusters by the gallery."""
        from ..recognition.check import gallery_point

        point, _ = gallery_point(self.gallery)
        limit = self.limit if point is None else point.threshold
        found = self.gallery.search(sums, 1)
        return [near[0][0] if near and near[0][1] > limit else "" for near in found]
