"""The folder behind ``--report DIR``: JSON, pictures and one self-contained page.

- ``verification.json``: what `results.document` returns.
- ``PACK-roc.png``: all flip forms of a pack over a logarithmic FAR axis.
- ``PACK-FLIP-scores.png``: scores of same and of different pairs.
- ``PACK-FLIP-errors.png``: the ten hardest errors.
- ``index.html``: all of it on one page that needs no other file.
"""

import base64
import dataclasses
import io
import logging
import pathlib
import re

import numpy as np

from ..errors import InputError
from ..files import atomic_write, write_json
from . import _page, plots
from .results import document

__all__ = ["write_report"]

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class HardPair:
    """One pair of the sheet of errors; `images` is None when only embeddings are at hand."""

    call: object
    images: object


def write_report(folder, results, packs=None, model=None):
    """Write the report of an evaluation.

    Parameters
    ----------
    folder : str or pathlib.Path
        Made if it is not there. Files of an earlier report with the same names are replaced.
    results : sequence of VerificationResult
        Of one or several packs and flip forms; ``pack`` and ``flip`` name them.
    packs : dict of str to VerificationPack, optional
        By name, for the pictures of the hardest errors.
    model : dict, optional
        The facts of the model card.

    Returns
    -------
    pathlib.Path
        The page, ``index.html`` in `folder`.
    """
    results, packs = list(results), packs or {}
    if not results:
        raise InputError("no results to report")
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the report folder {folder} cannot be made: {error}") from error
    facts = document(results, model)
    write_json(folder / "verification.json", facts)
    sections = []
    for name in dict.fromkeys(result.pack for result in results):
        group = [result for result in results if result.pack == name]
        sections.append(_section(folder, name or "pack", group, packs.get(name)))
    page = folder / "index.html"
    with atomic_write(page, "w", encoding="utf-8") as file:
        file.write(_page.render(results, sections, facts))
    logger.info("report written to %s", page)
    return page


def _section(folder, name, results, pack):
    """Write the pictures of one pack and return what the page shows of it."""
    stem = re.sub(r"[^\w.-]+", "_", name)
    roc = None
    if any(result.auc is not None for result in results):
        path = folder / f"{stem}-roc.png"
        plots.roc(results, path, title=f"ROC  {name}")
        roc = _inline(path)
    forms = []
    for result in results:
        flip = result.flip or "none"
        path = folder / f"{stem}-{flip}-scores.png"
        plots.score_histogram(result, path)
        hard = [
            HardPair(call, None if pack is None else pack.images(call.index))
            for call in result.hardest(10)
        ]
        title = errors_title(result, hard)
        if pack is not None:
            plots.pair_sheet(
                [(item.images, caption(item.call), item.call.error) for item in hard],
                folder / f"{stem}-{flip}-errors.png",
                f"{name}, flip {flip}: {title}",
            )
        pictures = [
            None if item.images is None else [_png(image) for image in item.images] for item in hard
        ]
        forms.append(
            {
                "result": result,
                "flip": flip,
                "scores": _inline(path),
                "title": title,
                "hard": list(zip([item.call for item in hard], pictures)),
            }
        )
    return {"name": name, "roc": roc, "forms": forms}


def errors_title(result, hard):
    """Say what the sheet shows: how many errors there are, or that there are none."""
    errors = sum(call.error for call in result.calls())
    if not errors:
        return f"no errors in {result.n_pairs} pairs; the {len(hard)} closest calls"
    if errors == 1:
        return f"the only error in {result.n_pairs} pairs"
    if errors <= len(hard):
        return f"all {errors} errors of {result.n_pairs} pairs, hardest first"
    return f"the {len(hard)} hardest of {errors} errors in {result.n_pairs} pairs"


def caption(call):
    """Return the two lines under a pair of pictures."""
    truth = "same person" if call.same else "different people"
    sign = ">" if call.accepted else "≤"
    return (
        f"{call.kind}: {truth}\n{call.score:.3f} {sign} {call.threshold:.3f}  (pair {call.index})"
    )


def _inline(path):
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _png(image):
    """Return a face crop, uint8 (H, W, 3), as a data URI."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(image), format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
