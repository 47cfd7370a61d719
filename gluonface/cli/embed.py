"""`gluonface embed`: the embeddings of a folder, of training records or of a pack, as .npz.

Of training records also as .npy, memory-mapped, for training with a teacher.
"""

from ._data_common import add_source_options, source_options
from ._network_options import add_model, add_network_options

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    add_model(parser, required=True)
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="SOURCE",
        help="aligned 112x112 faces: pictures, a folder of them (subfolders too, in sorted order), "
        "training records (train.rec or its folder), a verification pack (.bin), or any form that "
        "`gluonface data pack` takes",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="FILE.npz with arrays: embedding (N,D) float32; path, identity and group (N,) where "
        "there are some, label (N,) of records, issame (N/2,) of a pack; model, model_sha256 and "
        "flip, by which other commands know what made them. FILE.npy, of training records alone: "
        "the outputs (N,views,D), not normalised, for `gluonface train --teacher-embeddings`; "
        "FILE.json says of which records and model they are",
    )
    parser.add_argument(
        "--flip",
        default="sum",
        choices=("none", "sum", "concat"),
        help="leave the mirrored image out, add its output, or append it",
    )
    parser.add_argument(
        "--views",
        action="store_true",
        help="write e and f (N,D) as well: the outputs for the images and their mirrors, not "
        "normalised, as `gluonface eval verification --embeddings` reads them; in FILE.npy two "
        "views in place of one",
    )
    parser.add_argument(
        "--dtype",
        default="float16",
        choices=("float16", "float32"),
        help="numbers in FILE.npy; float16 changes a cosine by less than 1e-4",
    )
    add_source_options(parser)
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="the layer of an MXNet checkpoint that gives the embedding, where it is not called "
        "fc1 and a classifier follows it; the output of an .onnx file that has several",
    )
    parser.add_argument(
        "--allow-bad",
        type=int,
        default=0,
        metavar="N",
        help="leave out up to N pictures that cannot be read, and name them",
    )
    parser.add_argument("--batch-size", type=int, default=64, help="images per forward pass")
    parser.add_argument("--ctx", metavar="DEVICE", help="cpu, gpu, gpu1 (a GPU if there is one)")
    parser.add_argument(
        "--engine",
        default="auto",
        choices=("auto", "openvino", "onnxruntime", "mxnet"),
        help="what runs the network; auto, on a CPU: the first of these that is installed",
    )
    add_network_options(parser)


def run(args):
    """Embed, write the file, print what it holds; return the exit status."""
    import pathlib
    import sys

    from ..data.embedding_origin import EmbeddingOrigin
    from ..deploy import combine_views
    from ..errors import InputError, one_line
    from ..files import atomic_write, write_npz

    out = pathlib.Path(args.out)
    if out.suffix not in (".npz", ".npy"):
        raise InputError(f"--out is {out}; expected a name that ends in .npz or .npy")
    if not out.parent.is_dir():
        raise InputError(f"--out: there is no folder {out.parent}")
    if args.batch_size < 1:
        raise InputError(f"--batch-size is {args.batch_size}; expected 1 or more")
    if args.allow_bad < 0:
        raise InputError(f"--allow-bad is {args.allow_bad}; expected 0 or more")
    if out.suffix == ".npy":
        return _write_teacher(args, out)
    count, images, arrays = _open(args.input, source_options(args))
    if args.allow_bad and "path" not in arrays:
        raise InputError(
            "--allow-bad: the rows of records and packs keep their places; `gluonface data pack` "
            "writes a record set without what cannot be read"
        )
    model = _load(args)
    bad: dict[int, str] = {}
    batches = _batches(images, count, args.batch_size, args.allow_bad, bad)
    if args.views:
        e, f = model.embed_views(batches, args.batch_size)
        arrays.update(e=e, f=f)
        embedding = combine_views(e, f, args.flip)
    else:
        embedding = model.embed(batches, args.flip, args.batch_size)
    if bad:
        arrays.update(_without(arrays, count, bad))
    if model.identity.sha256:  # random weights cannot be recognised later
        arrays.update(EmbeddingOrigin(model.identity, args.flip).to_arrays())
    with atomic_write(out) as file:
        write_npz(file, {"embedding": embedding, **arrays})
    sys.stdout.write(f"{embedding.shape[0]} embeddings of {embedding.shape[1]} values: {out}\n")
    sys.stdout.write(f"engine: {model.engine}\n")
    for reason in bad.values():
        sys.stdout.write(f"left out: {one_line(str(reason))}\n")
    return 0


def _load(args):
    from ..deploy import Embedder

    return Embedder.load(
        args.model, args.ctx, args.engine, args.precision, args.color, output=args.layer
    )


def _without(arrays, count, bad):
    """Return the arrays that have a row per picture, without the rows of those left out."""
    import numpy as np

    kept = np.setdiff1d(np.arange(count), list(bad))
    return {name: arrays[name][kept] for name in ("path", "identity", "group") if name in arrays}


def _write_teacher(args, out):
    """Write the outputs for a record set as .npy; return the exit status."""
    import sys

    import numpy as np

    from ..data import RecordDataset
    from ..data.recordio.reader import find_rec
    from ..data.stored_embeddings import identify_records, write_embeddings
    from ..errors import InputError

    if len(args.input) > 1:
        raise InputError("--out FILE.npy is of one record set; give one --input")
    if args.allow_bad:
        raise InputError(
            "--allow-bad: a row of FILE.npy is an image of the record set; none is left out"
        )
    records = RecordDataset(find_rec(args.input[0]))
    known = identify_records(records)
    model = _load(args)
    if not model.identity.sha256:
        raise InputError(f"--model {args.model} has random weights, which teach nothing")

    def blocks():
        for images in _batches(lambda number: records[number][0], len(records), args.batch_size):
            if args.views:
                yield np.stack(model.embed_views(images, args.batch_size), axis=1)
            else:
                yield model.outputs(images, args.batch_size)[:, None]

    views = 2 if args.views else 1
    count, size = write_embeddings(out, blocks(), known, model.identity, views, args.dtype)
    sys.stdout.write(f"{count} images, {views} x {size} values: {out}\n")
    sys.stdout.write(f"engine: {model.engine}\n")
    return 0


def _batches(images, count, size, allowed=0, bad=None):
    """Yield stacks of images under a progress bar; up to `allowed` go into `bad` instead."""
    import numpy as np
    import tqdm

    from ..errors import DataError

    kept = []
    with tqdm.tqdm(total=count, unit="img", disable=None) as bar:
        for number in range(count):
            try:
                kept.append(images(number))
            except DataError as error:
                if not allowed:
                    raise
                if len(bad) == allowed:
                    raise DataError(f"one more than --allow-bad {allowed}: {error}") from error
                bad[number] = str(error)
            if len(kept) == size:
                yield np.stack(kept)
                bar.update(len(kept))
                kept = []
        if kept:
            yield np.stack(kept)
            bar.update(len(kept))
    if bad and len(bad) == count:
        raise DataError("no picture is left")


def _open(paths, options):
    """Return (number of images, function that reads one, arrays to store with them)."""
    import os
    import pathlib

    import numpy as np

    from ..data.formats.file_kind import recognise_file
    from ..data.sources import open_source
    from ..data.sources.photo_folder import find_photos, is_photo
    from ..data.sources.records import record_files

    path, one = pathlib.Path(paths[0]), len(paths) == 1
    if one and path.is_file() and (path.suffix == ".bin" or recognise_file(path).form == "pickle"):
        from ..data import VerificationPack

        pack = VerificationPack.load(path)
        return 2 * len(pack), pack.image, {"issame": np.asarray(pack.issame, bool)}
    if one and (path.suffix == ".rec" or any(path.glob("*.rec"))):
        files = record_files(path, options["split"])
        if len(files) == 1:
            from ..data import RecordDataset

            records = RecordDataset(files[0])
            labels = np.asarray(records.labels, np.int64)
            return len(records), lambda number: records[number][0], {"label": labels}
    if one and path.is_dir() and any(map(is_photo, os.listdir(path))):
        names = find_photos(path)  # pictures of no people: there is no identity to store
        files = [path / name for name in names]
        return (
            len(files),
            lambda number: _read(files[number], files[number].read_bytes),
            {"path": np.array(names)},
        )
    if all(is_photo(one) and os.path.isfile(one) for one in paths):
        files = [pathlib.Path(one) for one in paths]
        return (
            len(files),
            lambda number: _read(files[number], files[number].read_bytes),
            {"path": np.array([str(one) for one in paths])},
        )
    source = open_source(paths, **options)
    numbers = range(len(source))
    arrays = {
        "path": np.array([source.relative_name(i) for i in numbers]),
        "identity": np.array([source.identity(i) for i in numbers]),
    }
    if source.groups is not None:
        arrays["group"] = np.array([source.group(i) or "" for i in numbers])
    return len(source), lambda i: _read(source.name(i), lambda: source.read(i)), arrays


def _read(name, load):
    """Return a picture as uint8 (112,112,3) RGB."""
    from ..data import images
    from ..errors import DataError

    try:
        image = images.decode(load())
    except (DataError, OSError) as error:
        raise DataError(f"{name} cannot be read as a picture: {error}") from error
    if image.shape[:2] != (112, 112):
        raise DataError(
            f"{name} is {image.shape[1]}x{image.shape[0]} (width x height); expected an aligned "
            "face of 112x112: gluonface data align"
        )
    return image
