"""From the features of images to those of templates, as IJB-B and IJB-C define it. Pure NumPy.

The mean over the images of a medium (the frames of one video, or one still), the sum over the
media of a template, and L2 once at the end.
"""

import numpy as np

from ...errors import InputError
from .feature_matrix import check_matrix, row_lengths, unit_matrix

__all__ = ["pool"]

_ROWS = 256  # images pooled together: their float32 features stay in the second-level cache


def pool(
    features,
    template,
    media,
    mirrored=None,
    quality=None,
    normalize_images=False,
    dtype=np.float32,
):
    """Pool features of images into features of templates.

    Parameters
    ----------
    features : numpy.ndarray, shape (n, D)
        Un-normalised outputs for the images.
    template, media : array_like of int, shape (n,)
        The template each image belongs to, and the medium within it.
    mirrored : numpy.ndarray, shape (n, D), optional
        Outputs for the mirrored images; added to `features` ("F1" or "F2" of the published tables).
    quality : array_like, shape (n,), optional
        Weights of the images: the detector's scores, as they are ("D1").
    normalize_images : bool, default False
        Give every image the same length before it is weighted ("N1" of InsightFace's
        ``ijb_evals.py``, which its ``ijb_11.py`` calls N0). Short features are those of blurred
        faces; keeping their length lets them count less.
    dtype : default float32
        float64 gives the digits of the public programs.

    Returns
    -------
    ids : numpy.ndarray, shape (m,), int64
        Template ids, ascending.
    units : numpy.ndarray, shape (m, D)
        Of unit length; a template whose features add up to zero stays zero.

    Raises
    ------
    InputError
        Lists of different length, or a value that is not finite; the row is named.
    """
    features = check_matrix(features, "features")
    if mirrored is not None:
        mirrored = check_matrix(mirrored, "mirrored features", len(features))
        if mirrored.shape != features.shape:
            raise InputError(f"features are {features.shape}, mirrored ones {mirrored.shape}")
    template, media = (
        _labels(values, name, len(features))
        for values, name in ((template, "template ids"), (media, "media ids"))
    )
    weight = np.ones(len(features))
    if quality is not None:
        weight = np.asarray(quality, np.float64).copy()
        if weight.shape != (len(features),) or not np.isfinite(weight).all():
            raise InputError(
                f"detector scores have shape {weight.shape} for {len(features)} images, or one of "
                "them is not finite"
            )
    order, starts, weight = _group(template, media, weight)
    edges = np.append(starts, len(features))
    sums = np.empty((len(starts), features.shape[1]), dtype)
    outputs = (features,) if mirrored is None else (features, mirrored)
    first = 0
    while first < len(starts):
        stop = int(np.searchsorted(edges, edges[first] + _ROWS, side="right")) - 1
        stop = min(max(stop, first + 1), len(starts))
        low, high = edges[first], edges[stop]
        block = _block(outputs, order, low, high, dtype)
        scale = weight[low:high]
        if normalize_images:
            norms = np.sqrt(np.einsum("ij,ij->i", block, block))
            scale = scale / np.where(norms > 0, norms, 1)
        # One small product adds up all templates of the block: row t holds the weights of t.
        matrix = np.zeros((stop - first, high - low), dtype)
        own = np.repeat(np.arange(stop - first), np.diff(edges[first : stop + 1]))
        matrix[own, np.arange(high - low)] = scale
        with np.errstate(invalid="ignore", over="ignore"):  # `_unit_templates` names the image
            np.matmul(matrix, block, out=sums[first:stop])
        first = stop
    ids = template[order[starts]] if order is not None else template[starts]
    return ids.astype(np.int64), _unit_templates(sums, features, mirrored)


def _labels(values, name, rows):
    values = np.asarray(values)
    if values.shape != (rows,) or values.dtype.kind not in "iu":
        raise InputError(
            f"{name} have shape {values.shape} and dtype {values.dtype} for {rows} features; "
            "expected one whole number each"
        )
    return values.astype(np.int64)


def _group(template, media, weight):
    """Return the order by template and media, where templates start, and weights in that order.

    The order is None when the images are in it already. Weights are divided by the number of
    images of their medium.
    """
    step = (np.diff(template) > 0) | ((np.diff(template) == 0) & (np.diff(media) >= 0))
    order = None if step.all() else np.lexsort((media, template))
    if order is not None:
        template, media, weight = template[order], media[order], weight[order]
    new = np.diff(template) != 0
    starts = np.concatenate([[0], np.flatnonzero(new) + 1])
    edges = np.concatenate([[0], np.flatnonzero(new | (np.diff(media) != 0)) + 1, [len(media)]])
    size = np.diff(edges)
    return order, starts, weight / np.repeat(size, size)


def _block(outputs, order, low, high, dtype):
    """Return the images `low`..`high` of the order, outputs added, as `dtype`."""
    chosen = slice(low, high) if order is None else order[low:high]
    block = outputs[0][chosen].astype(dtype, copy=False)
    return block if len(outputs) == 1 else np.add(block, outputs[1][chosen], dtype=dtype)


def _unit_templates(sums, features, mirrored):
    """Bring the templates to unit length, and name the image when a value is not finite."""
    try:
        return unit_matrix(sums, "template", sums.dtype)[0]
    except InputError:
        for array, name in ((features, "features"), (mirrored, "mirrored features")):
            if array is not None:
                row_lengths(array, name)
        raise  # each is finite, their sum is not
