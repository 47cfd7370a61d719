"""The folder behind ``--report DIR`` of every protocol.

- ``evaluation.json`` (pair verification: ``verification.json``): what `results.document` returns.
- ``index.html``: tables, plots and the worst errors on one page that needs no other file.
- Pair verification also has pictures: ``PACK-roc.png``, all flip forms of a pack;
  ``PACK-FLIP-scores.png``, its scores; ``PACK-FLIP-errors.png``, the ten hardest errors.
"""

from __future__ import annotations

import logging
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import InputError
from ...files import atomic_write, write_json
from ..results import plots
from ..results.evaluation_result import EvaluationResult, document, setting_text
from ..results.group_tables import group_rows, group_summary, group_title, ratio_texts
from ..results.verification_result import VerificationResult, table_rows
from . import page_blocks as blocks
from . import worst_errors

__all__ = ["errors_title", "write_page", "write_report"]

logger = logging.getLogger(__name__)


def write_report(
    folder: str | os.PathLike[str],
    results: Sequence[EvaluationResult],
    model: dict[str, Any] | None = None,
    sides: Callable[..., tuple] | None = None,
    command: str = "gluonface eval",
) -> pathlib.Path:
    """Write the report of one or several results of a protocol.

    Parameters
    ----------
    folder : str or pathlib.Path
        Made if it is not there. Files of an earlier report with the same names are replaced.
    results : sequence of EvaluationResult
        Of pair verification: of one or several packs and flip forms.
    model : dict, optional
        The facts of the model card.
    sides : function, optional
        Names and shows both sides of the worst errors: see `worst_errors.name_errors` and
        `worst_errors.pack_sides`.
    command : str
        What made it.

    Returns
    -------
    pathlib.Path
        The page, ``index.html`` in `folder`.

    Raises
    ------
    InputError
        No results, or a folder that cannot be made.
    """
    results, folder = list(results), pathlib.Path(folder)
    if not results:
        raise InputError("no results to report")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the report folder {folder} cannot be made: {error}") from error
    pairs = isinstance(results[0], VerificationResult)
    data = document(results, model)
    write_json(folder / ("verification.json" if pairs else "evaluation.json"), data)
    content = _verification_page if pairs else _protocol_page
    page = content(folder, results, (model or {}).get("name") or "stored embeddings", sides)
    facts = {**page.pop("made", {}), **(model or {})}
    facts.update({f"version of {name}": value for name, value in data["versions"].items()})
    convention = [blocks.facts(data["convention"])]
    page["blocks"] += [
        blocks.facts(facts),
        _details("How each figure is defined", convention),
    ]
    return write_page(folder, page, command)


def write_page(
    folder: str | os.PathLike[str], page: dict[str, Any], command: str, announce: bool = True
) -> pathlib.Path:
    """Write ``index.html``, which needs no other file.

    Parameters
    ----------
    folder : str or pathlib.Path
        It is there.
    page : dict
        ``title``, ``heading``, ``summary`` and ``blocks`` (see `page_blocks`).
    command : str
        What made it.
    announce : bool, default True
        Log where it is. False for a folder that is renamed afterwards.

    Returns
    -------
    pathlib.Path
    """
    path = pathlib.Path(folder) / "index.html"
    with atomic_write(path, "w", encoding="utf-8") as file:
        file.write(_template().render(command=command, **page))
    if announce:
        logger.info("report written to %s", path)
    return path


def _template():
    import jinja2

    loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True).get_template("page.html")


def _details(summary, content):
    return {"kind": "details", "summary": summary, "blocks": content}


def _protocol_page(folder, results, name, sides):
    """Return the content of the page of any protocol but pair verification."""
    first, inputs, content = results[0], {}, []
    for result in results:
        inputs.update(result.inputs)
        content += _section(result, sides)
    content.append(blocks.text("heading", "Inputs, model and versions"))
    content += [blocks.inputs_table(inputs)] if inputs else []
    title = f"{first.protocol.split(' 1:')[0]}: {name}"
    made = {"flip": first.flip, "preprocessing": first.preprocessing}
    return {"title": title, "heading": title, "summary": "", "made": made, "blocks": content}


def _section(result, sides):
    """Return the blocks of one result."""
    content = [blocks.text("heading", result.title), *_figures(result)]
    drawn = [one for one in result.subsets if one.roc_curve is not None or one.cmc is not None]
    named = [(result.name or "all", result), *((one.name, one) for one in drawn)]
    if result.roc_curve is None and result.histogram is None and drawn:
        named = named[1:]  # the mean of subsets has no curve of its own
    search = result.ranks and not result.operating_points
    classes = [("best mate", "best other identity")] if search else []
    content.append(blocks.plot_block(named, *classes))
    content += worst_errors.error_sheets(result, sides)
    for one in result.subsets:
        content.append(_details(one.name, [*_figures(one), *worst_errors.error_sheets(one, sides)]))
    return content


def _figures(result):
    """Return the notes, counts and tables of one result."""
    counted = {name: f"{value:,}" for name, value in result.counts.items()}
    settings = {
        name: None if value is None else setting_text(value)
        for name, value in result.settings.items()
    }
    content = [blocks.facts({**counted, **settings})]
    content += [blocks.text("note", note) for note in result.notes]
    if result.error_rates:
        content.append(blocks.error_rate_table(result.error_rates))
    if result.operating_points:
        content.append(blocks.convention_table(result.operating_points))
    if result.ranks:
        content.append(blocks.rank_table(result.ranks))
    if result.searches:
        content.append(blocks.convention_table(result.searches))
    if result.subsets and result.operating_points and not result.error_rates:
        content.append(blocks.group_table(result))
    measures = {key: f"{value:.6f}" for key, value in result.measures.items() if value is not None}
    return [*content, blocks.facts(measures)] if measures else content


def _verification_page(folder, results, name, sides):
    """Write the pictures of pair verification; return the content of its page."""
    packs = list(dict.fromkeys(result.pack for result in results))
    rows = table_rows(results)
    content = [
        blocks.table(rows, rows[0].index("flip") + 1),
        blocks.text(
            "soft",
            "TAR is strict: the false-accept rate at its threshold does not exceed the given rate. "
            "A pair whose score is above the threshold counts as one person. The threshold of a "
            "row is the mean over the folds, as a cosine and as a squared distance (2 - 2 cosine). "
            "Read val together with far, the false-accept rate that was realised.",
        ),
    ]
    for pack in packs:
        group = [result for result in results if result.pack == pack]
        content += _pack_section(folder, pack or "pack", group, sides)
    content.append(blocks.text("heading", "Model and versions"))
    summary = f"{len(packs)} pack{'s' if len(packs) > 1 else ''}, {len(results)} "
    summary += f"result{'s' if len(results) > 1 else ''}, {results[0].folds} folds. "
    return {
        "title": f"Verification of {name}",
        "heading": f"Face verification: {name}",
        "summary": summary,
        "blocks": content,
    }


def _pack_section(folder, name, results, sides):
    """Write the pictures of one pack and return its blocks."""
    stem = re.sub(r"[^\w.-]+", "_", name)
    first, flips = results[0], [result.flip or "none" for result in results]
    curves = [plots.rate_curve(one.label, one) for one in results if one.roc_curve is not None]
    if curves:
        plots.save(plots.roc(curves, f"ROC  {name}"), folder / f"{stem}-roc.png")
    inputs = {**({name: first.pack_sha256} if first.pack_sha256 else {}), **first.inputs}
    content = [
        blocks.text("heading", name),
        blocks.text("soft", f"{first.n_same} same and {first.n_different} different pairs"),
        *([blocks.inputs_table(inputs)] if inputs else []),
        *_notes(results, flips),
    ]
    limits = {
        f"flip {flip}": (
            [("mean of folds", result.cosine_threshold)],
            (min(result.cosine_thresholds), max(result.cosine_thresholds)),
        )
        for flip, result in zip(flips, results)
    }
    content.append(blocks.plot_block(list(zip(limits, results)), limits=limits))
    for flip, result in zip(flips, results):
        if result.operating_points:
            heading = f"Flip {flip}: TAR at FAR, by both conventions"
            content.append(blocks.convention_table(result.operating_points, heading))
    for flip, result in zip(flips, results):
        if result.groups is not None:
            content += _group_blocks(flip, result.groups)
    for flip, result in zip(flips, results):
        figure = plots.histogram(
            result.histogram,
            limits[f"flip {flip}"][0],
            f"Scores  {name} flip {flip}",
            band=limits[f"flip {flip}"][1],
        )
        plots.save(figure, folder / f"{stem}-{flip}-scores.png")
        hard = [(call, sides(result, call) if sides else ()) for call in result.hardest(10)]
        title = errors_title(result, len(hard))
        if sides:
            items = [
                ([side.read()[0] for side in shown], _caption(call), call.error)
                for call, shown in hard
            ]
            sheet = plots.pair_sheet(items, f"{name}, flip {flip}: {title}")
            plots.save(sheet, folder / f"{stem}-{flip}-errors.png")
        cards = [_card(call, shown) for call, shown in hard]
        content.append(worst_errors.sheet(f"Flip {flip}: {title}", cards))
    return content


def _group_blocks(flip, groups):
    """Return the tables of error rates by group, and what follows from them."""
    content = []
    for one in groups.tables:
        caption = f"Flip {flip}: {group_title(one)}"
        content.append(blocks.table(group_rows(groups, one), caption=caption))
        content += [_sentence(line) for line in ratio_texts(one)]
    return [*content, _sentence(group_summary(groups))]


def _sentence(line):
    return blocks.text("soft", f"{line[:1].upper()}{line[1:]}.")


def _notes(results, flips):
    """Yield the notes of a pack, each once, with the flip forms that it is about."""
    notes: dict[str, list] = {}
    for flip, result in zip(flips, results):
        for note in result.notes:
            notes.setdefault(note, []).append(flip)
    for note, some in notes.items():
        where = "" if len(some) == len(flips) else f"flip {', '.join(some)}: "
        yield blocks.text("note", where + note)


def _card(call, sides):
    """Return one pair of the sheet of errors."""
    sign = "above" if call.accepted else "not above"
    return {
        "heading": call.kind,
        "body": f"They are {'the same person' if call.same else 'different people'}. "
        f"Score {call.score:.3f}, {sign} the threshold {call.threshold:.3f}.",
        "small": f"Pair {call.index}",
        "wrong": call.error,
        "sides": worst_errors.shown_sides(sides, suffix=".png"),
    }


def errors_title(result: VerificationResult, shown: int) -> str:
    """Return how many errors a result has, and how many of them the sheet shows."""
    errors = sum(call.error for call in result.calls())
    if not errors:
        return f"no errors in {result.n_pairs} pairs; the {shown} closest calls"
    if errors == 1:
        return f"the only error in {result.n_pairs} pairs"
    if errors <= shown:
        return f"all {errors} errors of {result.n_pairs} pairs, hardest first"
    return f"the {shown} hardest of {errors} errors in {result.n_pairs} pairs"


def _caption(call):
    """Return the two lines under a pair of pictures."""
    truth = "same person" if call.same else "different people"
    sign = ">" if call.accepted else "≤"
    return (
        f"{call.kind}: {truth}\n{call.score:.3f} {sign} {call.threshold:.3f}  (pair {call.index})"
    )
