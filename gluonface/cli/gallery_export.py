"""`gluonface gallery export`: the embeddings of a gallery as .npz."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument("gallery", metavar="G", help="the gallery")
    parser.add_argument(
        "out",
        metavar="OUT.npz",
        help="arrays: embedding (N,D) of unit length, output (N,D) as the network gave them, path "
        "(N,) as NAME/NUMBER-PICTURE, name (M,) and template (M,D) of the people, and the model",
    )


def run(args):
    """Write the file; return the exit status."""
    import pathlib
    import sys

    import numpy as np

    from ..data.embedding_origin import EmbeddingOrigin, ModelIdentity
    from ..errors import InputError
    from ..evaluation.scores.flip import normalize_rows
    from ..files import atomic_write, write_npz
    from ..recognition.gallery import Gallery
    from ._data_common import check_outputs

    if not args.out.endswith(".npz"):
        raise InputError(f"OUT is {args.out}; expected a name that ends in .npz")
    check_outputs(("OUT", args.out))
    gallery = Gallery.open(args.gallery)
    model = gallery.about["model"]
    identity = ModelIdentity(str(model.get("name")), model["sha256"], model["embedding_size"])
    person, template = gallery.templates()
    paths = [
        f"{gallery.names[number]}/{row:05d}-{pathlib.PurePath(picture or 'face').name}"
        for row, (number, picture) in enumerate(zip(gallery.person.tolist(), gallery.pictures))
    ]
    with atomic_write(args.out) as file:
        write_npz(
            file,
            {
                "embedding": normalize_rows(gallery.outputs),
                "output": gallery.outputs,
                "path": np.array(paths, dtype=str),
                "name": np.array([gallery.names[number] for number in person.tolist()], dtype=str),
                "template": template,
                **EmbeddingOrigin(identity, gallery.about["flip"]).to_arrays(),
            },
        )
    sys.stdout.write(f"{len(gallery):,} faces of {len(gallery.names):,} people: {args.out}\n")
    return 0
