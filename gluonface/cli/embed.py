"""`gluonface embed`: the embeddings of a folder, of training records or of a pack, as .npz."""

from ._data_common import add_source_options, source_options
from ._network_options import add_network_options

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument(
        "--model",
        required=True,
        metavar="SOURCE",
        help="a run folder, an exported prefix, a .onnx file, or NAME:FILE.params",
    )
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="SOURCE",
        help="aligned 112x112 faces: a folder of pictures (subfolders too, in sorted order), "
        "training records (train.rec or its folder), a verification pack (.bin), or any form that "
        "`gluonface data pack` takes",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE.npz",
        help="arrays: embedding (N,D) float32; path, identity and group (N,) where there are some, "
        "label (N,) of records, issame (N/2,) of a pack; model, model_sha256 and flip, by which "
        "other commands know what made them",
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
        "normalised, as `gluonface eval verification --embeddings` reads them",
    )
    add_source_options(parser)
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
    from ..deploy import Embedder, combine_views
    from ..errors import InputError
    from ..files import atomic_write, write_npz

    out = pathlib.Path(args.out)
    if out.suffix != ".npz":
        raise InputError(f"--out is {out}; expected a name that ends in .npz")
    if not out.parent.is_dir():
        raise InputError(f"--out: there is no folder {out.parent}")
    if args.batch_size < 1:
        raise InputError(f"--batch-size is {args.batch_size}; expected 1 or more")
    count, images, arrays = _open(args.input, source_options(args))
    model = Embedder.load(args.model, args.ctx, args.engine, args.precision, args.color)
    batches = _batches(images, count, args.batch_size)
    if args.views:
        e, f = model.embed_views(batches, args.batch_size)
        arrays.update(e=e, f=f)
        embedding = combine_views(e, f, args.flip)
    else:
        embedding = model.embed(batches, args.flip, args.batch_size)
    if model.identity.sha256:  # random weights cannot be recognised later
        arrays.update(EmbeddingOrigin(model.identity, args.flip).to_arrays())
    with atomic_write(out) as file:
        write_npz(file, {"embedding": embedding, **arrays})
    sys.stdout.write(f"{embedding.shape[0]} embeddings of {embedding.shape[1]} values: {out}\n")
    sys.stdout.write(f"engine: {model.engine}\n")
    return 0


def _batches(images, count, size):
    """Yield stacks of images under a progress bar."""
    import numpy as np
    import tqdm

    kept = []
    with tqdm.tqdm(total=count, unit="img", disable=None) as bar:
        for number in range(count):
            kept.append(images(number))
            if len(kept) == size or number == count - 1:
                yield np.stack(kept)
                bar.update(len(kept))
                kept = []


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
            f"{name} is {image.shape[0]}x{image.shape[1]}; expected an aligned face of 112x112"
        )
    return image
