"""Faces with their labels for `gluonface eval`: embedded from a list of images, or stored."""

import dataclasses

from . import eval_common

__all__ = ["Faces", "embed_faces", "load", "one_flip"]

_COLUMNS = ("image path", "identity", "group")


@dataclasses.dataclass
class Faces:
    """The faces of one list.

    Attributes
    ----------
    features : numpy.ndarray, shape (n, D)
    identity : sequence, of length n
    group : sequence, of length n, or None
    flip : str
        The flip form.
    card : dict or None
        Of the model.
    inputs : dict of str to str
        SHA-256 of what was read.
    side : function
        From a row to the `worst_errors.ErrorSide` of its image.
    source : (path, EmbeddingOrigin or None), optional
        The file of stored features and what it says of itself.
    assumed : bool
        Whether nothing says of which flip form the features are.
    """

    features: object
    identity: object
    group: object
    flip: str
    card: object
    inputs: dict
    side: object
    source: object = None
    assumed: bool = False


def load(args, model, file, stored, what="images", group="no", unique=False):
    """Return the `Faces` of a list, or None on a rank that only helps.

    Parameters
    ----------
    args : argparse.Namespace
    model : tuple or None
        As `eval_common.open_model` returns it; None for stored features.
    file : str or None
        The list: image path, identity and group. Stored features do without if they have the
        arrays ``identity`` and ``group``.
    stored : str or None
        The file of stored features.
    what : str
        What they are called.
    group : {"no", "may", "must"}
        Whether there are groups.
    unique : bool, default False
        Whether a list may hold an identity once only.
    """
    from ..errors import InputError
    from ..evaluation.files.feature_files import load_features
    from ..evaluation.files.image_list import ImageList
    from ..files import sha256

    if model is not None and not file:
        raise InputError("--list is missing: it says who is on the images")
    names, labels, inputs = None, {}, {}
    if file:
        names, labels = _read(file, group)
        if unique:
            _require_unique(file, labels["identity"])
        inputs[file] = sha256(file)
    if model is not None:
        images = ImageList(args.images, names)
        faces = embed_faces(args, model, images, labels["identity"], inputs, what)
        return faces and dataclasses.replace(faces, group=labels.get("group"))
    held = load_features(stored)
    inputs[held.path.name] = held.sha256
    if names is not None:
        held = held.in_order_of(names, file)
    else:
        labels = _arrays(held, group)
    side = eval_common.image_sides(held.names, word=what.rstrip("s"))
    source = (held.path, held.origin)
    eval_common.check_origin(args, *source)
    features, flip = eval_common.merge_views(args, held.e, held.f, held.origin)
    assumed = held.f is None and held.origin is None
    identity, group = labels["identity"], labels.get("group")
    return Faces(features, identity, group, flip, None, inputs, side, source, assumed)


def embed_faces(args, model, images, identity, inputs, what):
    """Return the `Faces` of images, or None on a rank that only helps.

    Parameters
    ----------
    args : argparse.Namespace
    model : tuple
        As `eval_common.open_model` returns it.
    images : ImageList or EncodedImages
    identity : sequence
    inputs : dict of str to str
        SHA-256 of what was read so far.
    what : str
        What they are called.
    """
    found = eval_common.embed(args, model, images, what)
    if found is None:
        return None
    features, flip = eval_common.merge_views(args, found.e, found.f)
    card = eval_common.card_of(args, model)
    inputs = {**inputs, f"{what} (pixels)": found.sha256}
    side = eval_common.image_sides(images.names, images)
    return Faces(features, identity, None, flip, card, inputs, side)


def one_flip(*sides):
    """Return the flip form of faces that are compared with each other; it must be one.

    The model of stored features must be one too.
    """
    from ..errors import InputError

    eval_common.check_one_origin(*(side.source for side in sides))
    # Beside embeddings that say their flip form, older ones are taken to be of the same.
    stated = any(side.source and side.source[1] and side.source[1].flip for side in sides)
    flips = {side.flip for side in sides if not (stated and side.assumed)}
    if len(flips) > 1:
        raise InputError(
            "some features have mirrored outputs (f) and those they are compared with have none: "
            "give --flip none"
        )
    return flips.pop()


def _read(file, group):
    """Return the names of a list and its labels by column."""
    from ..evaluation.files.image_list import read_list
    from ..evaluation.files.text_tables import read_fields

    columns = 2 if group == "no" else 3
    if group == "may":  # its first line tells
        first = next((fields for *_, fields in read_fields(file, "a list of images")), "")
        columns = min(max(len(first), 2), 3)
    names, *labels = read_list(file, columns, ", ".join(_COLUMNS[:columns]))
    return names, dict(zip(_COLUMNS[1:], labels))


def _require_unique(file, identity):
    from ..errors import DataError
    from ..evaluation.files.text_tables import read_fields

    numbers = [number for number, *_ in read_fields(file, "a list of images")]
    seen = {}
    for number, one in zip(numbers, identity):
        if one in seen:
            raise DataError(
                f"{file}, line {number}: {one} is in the gallery already, with line {seen[one]}; "
                "with --unique-gallery an identity is enrolled once"
            )
        seen[one] = number


def _arrays(held, group):
    from ..errors import InputError

    needed = ["identity", *(["group"] if group == "must" else [])]
    missing = [name for name in needed if name not in held.arrays]
    if missing:
        raise InputError(
            f"{held.path} has no array {' and no array '.join(missing)}, and there is no list "
            "of them"
        )
    wanted = [*needed, *(["group"] if group == "may" else [])]
    return {name: held.arrays[name] for name in wanted if name in held.arrays}
