"""`gluonface embed`: the embeddings of a folder, of training records or of a pack, as .npz."""

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
        metavar="DIR|REC|BIN",
        help="aligned 112x112 faces: a folder of pictures (subfolders too, in sorted order), "
        "training records (train.rec or its folder) or a verification pack (.bin)",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE.npz",
        help="arrays: embedding (N,D) float32; path (N,) of a folder, label (N,) of records, "
        "issame (N/2,) of a pack; model, model_sha256 and flip, by which other commands know "
        "what made them",
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
    parser.add_argument("--batch-size", type=int, default=64, help="images per forward pass")
    parser.add_argument("--ctx", metavar="DEVICE", help="cpu, gpu, gpu1 (a GPU if there is one)")
    parser.add_argument(
        "--engine",
        default="auto",
        choices=("auto", "openvino", "onnxruntime", "mxnet"),
        help="what runs the network; auto, on a CPU: the first of these that is installed",
    )


def run(args):
    """Embed, write the file, print what it holds; return the exit status."""
    import pathlib
    import sys

    import numpy as np

    from ..data.embedding_origin import EmbeddingOrigin
    from ..deploy import Embedder, combine_views
    from ..errors import InputError
    from ..files import atomic_write

    out = pathlib.Path(args.out)
    if out.suffix != ".npz":
        raise InputError(f"--out is {out}; expected a name that ends in .npz")
    if not out.parent.is_dir():
        raise InputError(f"--out: there is no folder {out.parent}")
    if args.batch_size < 1:
        raise InputError(f"--batch-size is {args.batch_size}; expected 1 or more")
    count, images, arrays = _open(pathlib.Path(args.input))
    model = Embedder.load(args.model, ctx=args.ctx, engine=args.engine)
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
        np.savez(file, embedding=embedding, **arrays)
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


def _open(path):
    """Return (number of images, function that reads one, arrays to store with them)."""
    import numpy as np

    from ..errors import InputError

    if path.suffix == ".bin" and path.is_file():
        from ..data import VerificationPack

        pack = VerificationPack.load(path)
        return 2 * len(pack), pack.image, {"issame": np.asarray(pack.issame, bool)}
    if path.suffix == ".rec" or (path.is_dir() and any(path.glob("*.rec"))):
        from ..data import RecordDataset

        records = RecordDataset(path)
        labels = np.asarray(records.labels, np.int64)
        return len(records), lambda number: records[number][0], {"label": labels}
    if not path.is_dir():
        raise InputError(
            f"--input {path}: there is no such folder of pictures, .rec file or .bin pack"
        )
    from ..data.sources.photo_folder import SUFFIXES

    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise InputError(f"--input {path}: no picture in it ({', '.join(SUFFIXES)})")
    names = np.array([str(file.relative_to(path)) for file in files])
    return len(files), lambda number: _read(files[number]), {"path": names}


def _read(file):
    """Return a picture as uint8 (112,112,3) RGB."""
    from ..data import images
    from ..errors import DataError

    try:
        image = images.decode(file.read_bytes())
    except (DataError, OSError) as error:
        raise DataError(f"{file} cannot be read as a picture: {error}") from error
    if image.shape[:2] != (112, 112):
        raise DataError(
            f"{file} is {image.shape[0]}x{image.shape[1]}; expected an aligned face of 112x112"
        )
    return image
