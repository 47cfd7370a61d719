"""One's own figures beside the published ones that may be compared with them, and why others not.

The published figures are those of ``model_zoo/published.csv``; how each table measured them is
described in docs/published_tables.rst.
"""

from __future__ import annotations

import dataclasses
import re
import typing

from ...errors import DataError
from ...model_zoo import _table

__all__ = ["OwnFigure", "PublishedFigure", "compare_figures", "own_figures", "published_figures"]

# Pairs of the sets as they are published. A set of another size is another set.
PAIRS = {"LFW": 6000, "CALFW": 6000, "CPLFW": 6000, "CFP-FP": 7000, "AgeDB-30": 6000}
_NAMES = {name.lower().replace("-", ""): name for name in PAIRS}
_FIGURE = re.compile(
    r"\b(LFW|CALFW|CPLFW|CFP-FP|AgeDB-30|IJB-[BC](?: 1e-\d)?|MFR-ALL|MegaFace) "
    r"([\d.]+)(?: / ([\d.]+))?"
)


@dataclasses.dataclass(frozen=True)
class PublishedFigure:
    """A published figure, per cent.

    Attributes
    ----------
    network, data, loss, source : str
        As `published.csv` has them; "" where the table does not say.
    benchmark : str
        ``LFW``, ``IJB-C 1e-4``, ``MegaFace rank 1``, ...
    value : float
    """

    network: str
    data: str
    loss: str
    source: str
    benchmark: str
    value: float


@dataclasses.dataclass(frozen=True)
class OwnFigure:
    """A figure of one's own, per cent, and how it was measured.

    Attributes
    ----------
    benchmark : str
        As of `PublishedFigure`; the name of the set where it is none of these.
    value : float
    network : str or None
    flip : str or None
    pairs, folds : int or None
    normalized : bool
        IJB: the length of each image's embedding was removed.
    refined : bool
        MegaFace: the noise lists were used.
    """

    benchmark: str
    value: float
    network: str | None = None
    flip: str | None = None
    pairs: int | None = None
    folds: int | None = None
    normalized: bool = False
    refined: bool = True


def published_figures() -> list[PublishedFigure]:
    """Return every published figure of the backbones of the zoo."""
    found = []
    for row in _table.table():
        for published in row["published"]:
            about = (row["name"], published["data"], published["loss"] or "", published["source"])
            if published["ijbc"]:
                found.append(PublishedFigure(*about, "IJB-C 1e-4", float(published["ijbc"])))
            for name, value, second in _FIGURE.findall(published["others"] or ""):
                if "mixfacenets" in published["source"] and name.startswith("IJB"):
                    name = name.replace("1e-6", "1e-4")  # its caption; see published_tables.rst
                if name in ("IJB-B", "IJB-C"):
                    name += " 1e-4"
                if name == "MegaFace":
                    found.append(PublishedFigure(*about, "MegaFace rank 1", float(value)))
                    name, value = "MegaFace 1e-6", second
                found.append(PublishedFigure(*about, name, float(value)))
    return found


def own_figures(document: typing.Any, where: str, network: str | None = None) -> list[OwnFigure]:
    """Return the figures in the JSON that ``gluonface eval`` or a run writes.

    Parameters
    ----------
    document : dict
        ``verification.json`` of a run, or what ``gluonface eval ... --json`` wrote.
    where : str
        The file, for messages.
    network : str, optional
        The name of the backbone, where the document does not say.

    Raises
    ------
    DataError
        When it is something else.
    """
    try:
        if "history" in document:
            best = document["best"]["step"]
            entry = next(e for e in document["history"] if e["step"] == best)
            results = [{**pack, "pack": name} for name, pack in entry["packs"].items()]
        else:
            results = document["results"]
            card = document.get("model")
            network = network or (card.get("name") if isinstance(card, dict) else None)
        figures = [figure for result in results for figure in _figures(result, network)]
    except (KeyError, TypeError, AttributeError, StopIteration, ValueError) as error:
        raise DataError(
            f"{where} is not what `gluonface eval ... --json` or a training run writes ({error!r})"
        ) from error
    if not figures:
        raise DataError(f"{where} has no figure of a published kind: no accuracy, TAR or rank 1")
    return figures


def _figures(result, network):
    """Yield the figures of one result."""
    if "accuracy" in result:
        name = str(result["pack"])
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        yield OwnFigure(
            _NAMES.get(plain, name),
            100 * float(result["accuracy"]),
            network,
            result.get("flip"),
            result.get("n_pairs"),
            result.get("folds"),
        )
        return
    protocol, about = result["protocol"], (network, result.get("flip"))
    if protocol.startswith("IJB 1:1"):
        text = f"{result.get('name')} {' '.join(result.get('inputs', {}))}".lower()
        name = next((n for n in ("IJB-B", "IJB-C") if n[-1].lower() in _letters(text)), "IJB")
        normalized = bool(result["settings"].get("normalize_images"))
        for point in result["operating_points"]:
            if point["convention"] == "reference":
                target = f"{point['target']:.0e}".replace("e-0", "e-")
                yield OwnFigure(
                    f"{name} {target}", 100 * point["tar"], *about, normalized=normalized
                )
    elif protocol.startswith("MegaFace"):
        for rank in result["ranks"]:
            if rank["rank"] == 1:
                value = 100 * rank["rate"]
                refined = protocol.endswith("(R)")
                yield OwnFigure("MegaFace rank 1", value, *about, refined=refined)


def _letters(text):
    """Return the letters of IJB sets that a name or file names hold: IJBC, ijb_c, IJB-C."""
    return set(re.findall(r"ijb[-_ ]?([bc])", text))


def compare_figures(
    own: OwnFigure, published: typing.Iterable[PublishedFigure]
) -> list[tuple[PublishedFigure, str | None]]:
    """Return the published figures of the same benchmark, each with why not to compare, or None.

    Parameters
    ----------
    own : OwnFigure
    published : iterable of PublishedFigure

    Returns
    -------
    list of (PublishedFigure, str or None)
        Those that may be compared first, the own network's before others, the highest first.
    """
    found = [(row, _reason(own, row)) for row in published if row.benchmark == own.benchmark]
    return sorted(
        found, key=lambda one: (one[1] is not None, one[0].network != own.network, -one[0].value)
    )


def _reason(own, row):
    """Return why a published figure may not be compared with an own one; None when it may."""
    wanted = PAIRS.get(own.benchmark)
    if wanted and own.pairs != wanted:
        return f"the published set has {wanted:,} pairs, yours {own.pairs or 0:,}: another set"
    if wanted and own.folds != 10:
        return f"theirs is the mean of 10 folds, yours of {own.folds}"
    if own.flip not in (None, "sum"):
        return f"theirs adds the mirrored image's output (flip sum), yours has flip {own.flip}"
    if own.benchmark.startswith("IJB"):
        cavaface = "cavaface" in row.source
        if cavaface and not own.normalized:
            return "theirs normalises each image first: eval ijb --normalize-images"
        if not cavaface and own.normalized:
            return "theirs keeps the lengths of the images' embeddings: without --normalize-images"
    if own.benchmark.startswith("MegaFace") and not own.refined:
        return "theirs is of the refined lists (R): eval megaface with the noise lists"
    return None
