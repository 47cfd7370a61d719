"""The folder behind ``--report DIR`` of pair verification: JSON, pictures and one page.

- ``verification.json``: what `results.document` returns.
- ``PACK-roc.png``: all flip forms of a pack over a logarithmic FAR axis.
- ``PACK-FLIP-scores.png``: scores of same and of different pairs.
- ``PACK-FLIP-errors.png``: the ten hardest errors.
- ``index.html``: all of it on one page that needs no other file.

`report_outcomes` writes those of the other protocols.
"""

import base64
import dataclasses
import io
import logging
import pathlib
import re

import numpy as np

from ...errors import InputError
from ...files import atomic_write, write_json
from ..results.outcome import Outcome, count_scores
from ..results.verification_result import CONVENTION, cells, columns, document
from . import blocks, html_page, plots

__all__ = ["report_folder", "write_report"]

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
    folder = report_folder(folder)
    facts = document(results, model)
    write_json(folder / "verification.json", facts)
    sections = []
    for name in dict.fromkeys(result.pack for result in results):
        group = [result for result in results if result.pack == name]
        sections += _section(folder, name or "pack", group, packs.get(name))
    page = folder / "index.html"
    with atomic_write(page, "w", encoding="utf-8") as file:
        file.write(_render(results, sections, facts))
    logger.info("report written to %s", page)
    return page


def report_folder(folder):
    """Make the folder of a report; InputError if it cannot be."""
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the report folder {folder} cannot be made: {error}") from error
    return folder


def _render(results, sections, facts):
    """Return the page; `sections` are pieces of HTML, `facts` is `results.document`."""
    model = facts["model"] or {}
    name = model.get("name") or "stored embeddings"
    packs = len({result.pack for result in results})
    rows = [columns(results), *(cells(result, results) for result in results)]
    versions = {f"version of {k}": v for k, v in facts["versions"].items()}
    parts = [
        f"<h1>Face verification: {html_page.text(name)}</h1>",
        f'<p class="soft">{packs} pack{"s" if packs > 1 else ""}, {len(results)} '
        f"result{'s' if len(results) > 1 else ''}, {results[0].folds} folds. "
        "Made by <code>gluonface eval verification</code>.</p>",
        html_page.table(rows, rows[0].index("flip") + 1),
        '<p class="soft">TAR is strict: at a threshold whose false-accept rate does not exceed '
        "the one named. Thresholds are squared distances, averaged over the folds. Read val "
        "together with the realised far beside it.</p>",
        *sections,
        "<h2>Model and versions</h2>",
        html_page.facts({**model, **versions}),
        "<details><summary>How each figure is defined</summary>",
        html_page.facts(CONVENTION),
        "</details>",
    ]
    return html_page.page(f"Verification of {name}", parts)


def _section(folder, name, results, pack):
    """Write the pictures of one pack and return what the page shows of it, as pieces of HTML."""
    stem = re.sub(r"[^\w.-]+", "_", name)
    if any(result.auc is not None for result in results):
        plots.roc(results, folder / f"{stem}-roc.png", title=f"ROC  {name}")
    first, forms = results[0], [result.flip or "none" for result in results]
    inputs = {**({name: first.pack_sha256} if first.pack_sha256 else {}), **first.inputs}
    parts = [
        f"<h2>{html_page.text(name)}</h2>",
        f'<p class="soft">{first.n_same} same and {first.n_different} different pairs</p>',
        blocks.inputs_table(inputs) if inputs else "",
        *_notes(results, forms),
    ]
    limits = {
        f"flip {flip}": [("mean of folds", result.cosine_threshold)]
        for flip, result in zip(forms, results)
    }
    named = [(f"flip {flip}", _outcome(result)) for flip, result in zip(forms, results)]
    parts.append(blocks.plots(named, limits=limits))
    for flip, result in zip(forms, results):
        if result.operating_points:
            heading = f"Flip {flip}: TAR at FAR, by both conventions"
            parts.append(blocks.convention_table(result.operating_points, heading))
    for flip, result in zip(forms, results):
        plots.score_histogram(result, folder / f"{stem}-{flip}-scores.png")
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
        parts.append(blocks.error_sheet(f"Flip {flip}: {title}", [_card(h) for h in hard]))
    return parts


def _notes(results, forms):
    """Yield the notes of a pack, each once, with the flip forms that it is about."""
    notes = {}
    for flip, result in zip(forms, results):
        for note in result.notes:
            notes.setdefault(note, []).append(flip)
    for note, flips in notes.items():
        where = "" if len(flips) == len(forms) else f"flip {', '.join(flips)}: "
        yield f'<p class="note">{html_page.text(where + note)}</p>'


def _outcome(result):
    """Return the scores of a result as the shared plots want them."""
    different = np.sort(result.score[~result.issame])[::-1]
    return Outcome(
        "verification",
        points=result.operating_points,
        roc=None if result.auc is None else result.roc(),
        histogram=count_scores(result.score[result.issame], different),
    )


def _card(item):
    """Return one pair of the sheet of errors for the page."""
    call, faces = item.call, None
    if item.images is not None:
        faces = [
            [(_png(image), f"image {side} of pair {call.index}")]
            for side, image in zip("ab", item.images)
        ]
    truth = "the same person" if call.same else "different people"
    sign = "above" if call.accepted else "not above"
    return {
        "heading": call.kind,
        "body": f"They are {truth}. Score {call.score:.3f}, {sign} the threshold "
        f"{call.threshold:.3f}.",
        "small": f"Pair {call.index}",
        "wrong": call.error,
        "faces": faces,
    }


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


def _png(image):
    """Return a face crop, uint8 (H, W, 3), as a data URI."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(image), format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
