"""The folder behind ``--report DIR`` of every protocol but pair verification.

- ``evaluation.json``: what `outcomes.outcome_document` returns.
- ``index.html``: tables, plots and the worst errors on one page that needs no other file.
"""

import dataclasses
import logging

from ...errors import DataError, InputError
from ...files import atomic_write, write_json
from ..results.outcome import outcome_document
from . import blocks, html_page
from .verification_report import report_folder

__all__ = ["Entry", "name_errors", "write_outcomes"]

logger = logging.getLogger(__name__)

_TITLES = {
    "highest different": "Different people with the highest scores",
    "lowest same": "The same person with the lowest scores",
    "wrong identity first": "Probes for which a wrong identity comes first",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One side of a pair: an image, or a template of several.

    Attributes
    ----------
    name : str
    read : function, optional
        Returns its images, a list of uint8 (H, W, 3) RGB. Called for what is shown alone.
    """

    name: str
    read: object = None


def name_errors(outcome, entries):
    """Return an outcome whose worst errors, and those of its parts, have names.

    Parameters
    ----------
    outcome : Outcome
    entries : function
        Takes an outcome (of `outcome`, or one of its parts) and a `Hard`; returns the `Entry` of
        either side and, where there is a right mate, of that.
    """
    hardest = []
    for hard in outcome.hardest:
        names = [entry.name for entry in entries(outcome, hard)]
        of_mate = names[2] if len(names) > 2 else None
        hardest.append(
            dataclasses.replace(hard, name_a=names[0], name_b=names[1], name_mate=of_mate)
        )
    parts = tuple(name_errors(part, entries) for part in outcome.parts)
    return dataclasses.replace(outcome, hardest=tuple(hardest), parts=parts)


def write_outcomes(folder, outcomes, model=None, entries=None, command="gluonface eval"):
    """Write the report of one or several outcomes.

    Parameters
    ----------
    folder : str or pathlib.Path
        Made if it is not there. Files of an earlier report are replaced.
    outcomes : sequence of Outcome
    model : dict, optional
        The facts of the model card.
    entries : function, optional
        As for `name_errors`, for the pictures of the worst errors.
    command : str
        What made it.

    Returns
    -------
    pathlib.Path
        The page, ``index.html`` in `folder`.
    """
    outcomes = list(outcomes)
    if not outcomes:
        raise InputError("no results to report")
    folder = report_folder(folder)
    facts = outcome_document(outcomes, model)
    write_json(folder / "evaluation.json", facts)
    name = (model or {}).get("name") or "stored embeddings"
    first = outcomes[0]
    made = {"flip": first.flip, "preprocessing": first.preprocessing, **(model or {})}
    versions = {f"version of {k}": v for k, v in facts["versions"].items()}
    inputs = {}
    for outcome in outcomes:
        inputs.update(outcome.inputs)
    title = f"{first.protocol.split(' 1:')[0]}: {name}"
    parts = [
        f"<h1>{html_page.text(title)}</h1>",
        f'<p class="soft">Made by <code>{html_page.text(command)}</code>.</p>',
        *(piece for outcome in outcomes for piece in _section(outcome, entries)),
        "<h2>Inputs, model and versions</h2>",
        blocks.inputs_table(inputs) if inputs else "",
        html_page.facts({**made, **versions}),
        "<details><summary>How each figure is defined</summary>",
        html_page.facts(facts["convention"]),
        "</details>",
    ]
    page = folder / "index.html"
    with atomic_write(page, "w", encoding="utf-8") as file:
        file.write(html_page.page(title, parts))
    logger.info("report written to %s", page)
    return page


def _section(outcome, entries):
    """Return the pieces of HTML of one outcome."""
    title = " ".join(filter(None, (outcome.protocol, outcome.name)))
    parts = [f"<h2>{html_page.text(title)}</h2>", *_figures(outcome)]
    drawn = [part for part in outcome.parts if part.roc is not None or part.cmc is not None]
    named = [(outcome.name or "all", outcome), *((part.name, part) for part in drawn)]
    if outcome.roc is None and outcome.histogram is None and drawn:
        named = [(part.name, part) for part in drawn]  # the mean of parts has no curve of its own
    parts.append(blocks.plots(named, *_classes(outcome)))
    parts += _errors(outcome, entries)
    for part in outcome.parts:
        parts.append(f"<details><summary>{html_page.text(part.name)}</summary>")
        parts += [*_figures(part), *_errors(part, entries), "</details>"]
    return parts


def _figures(outcome):
    """Return the notes, counts and tables of one outcome."""
    counted = {key: f"{value:,}" for key, value in outcome.counts.items()}
    settings = {key: _word(value) for key, value in outcome.settings.items()}
    parts = [html_page.facts({**counted, **settings})]
    parts += [f'<p class="note">{html_page.text(note)}</p>' for note in outcome.notes]
    if outcome.errors:
        parts.append(blocks.error_rate_table(outcome.errors))
    if outcome.points:
        parts.append(blocks.convention_table(outcome.points))
    if outcome.ranks:
        parts.append(blocks.rank_table(outcome.ranks))
    if outcome.searches:
        parts.append(blocks.convention_table(outcome.searches))
    if outcome.parts and outcome.points and not outcome.errors:
        parts.append(blocks.group_table(outcome))
    measures = {key: f"{value:.6f}" for key, value in outcome.measures.items() if value is not None}
    if measures:
        parts.append(html_page.facts(measures))
    return parts


def _classes(outcome):
    if outcome.ranks and not outcome.points:
        return (("best mate", "best other identity"),)
    return ()


def _errors(outcome, entries):
    """Return the contact sheets of one outcome, a sheet for each kind of error."""
    sheets = {}
    for hard in outcome.hardest:
        shown = entries(outcome, hard) if entries is not None else ()
        known = [(hard.name_a, hard.a), (hard.name_b, hard.b)]
        known += [(hard.name_mate, hard.mate)] if hard.mate is not None else []
        names = [name or f"entry {place}" for name, place in known]
        names[: len(shown)] = [entry.name for entry in shown]
        sentence, wrong = blocks.verdict(hard, outcome.points, "FMR" if outcome.errors else "FAR")
        if hard.mate is None:
            sides, small = None, " and ".join(names)
        else:
            sides = ("probe", "wrong entry", "right entry")
            small = "; ".join(f"{side}: {name}" for side, name in zip(sides, names))
        sheets.setdefault(hard.kind, []).append(
            {
                "heading": f"Score {hard.score:.3f}",
                "body": sentence,
                "small": small,
                "wrong": wrong,
                "faces": [_faces(entry) for entry in shown] or None,
                "sides": sides,
            }
        )
    return [blocks.error_sheet(_TITLES.get(kind, kind), cards) for kind, cards in sheets.items()]


def _faces(entry):
    """Return the images of an entry as (data URI, alt text); none when they cannot be read."""
    if entry.read is None:
        return []
    try:
        return [(blocks.jpeg(image), entry.name) for image in entry.read()]
    except DataError as error:
        logger.warning("not on the report: %s", error)
        return []


def _word(value):
    return ("no", "yes")[value] if isinstance(value, bool) else value
