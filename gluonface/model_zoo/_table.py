"""The table of backbones, for the command and for the documentation.

Two tables lie beside this module: ``speed.csv``, which ``docs/measure.py zoo`` writes, and
``published.csv``, the figures of the tables of others. Theirs are of networks trained elsewhere, on
data that are not those of another row; none was measured here.
"""

import csv
import pathlib

from ._base import BACKBONES

__all__ = ["HEADINGS", "MEASURED", "SPEED", "cells", "short", "table"]

FOLDER = pathlib.Path(__file__).parent
SPEED = FOLDER / "speed.csv"
MEASURED = ("size_mb", "images_per_s_batch1", "images_per_s_batch32")  # its columns

# What the command and the page show of a row; `cells` gives their texts.
HEADINGS = (
    *("Name", "Parameters", "MMACs", "D", "MB"),
    *("Images/s, 1", "Images/s, 32", "IJB-C, theirs", "Paper"),
)


def _read(path):
    """Return {name: rows} of one of the tables; nothing if it is not there."""
    found = {}
    if path.is_file():
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(row.pop("name"), []).append(row)
    return found


def table(names=None):
    """Return one dict for each backbone.

    Parameters
    ----------
    names : list of str, optional
        Registered names; default all.

    Returns
    -------
    list of dict
        The fields of `ModelCfg`, ``aliases``, the columns of `MEASURED` (None where nothing was
        measured), and ``published``: a list of dicts with ``data``, ``loss``, ``ijbc`` (the true
        accept rate at a false accept rate of 1e-4, per cent), ``others`` and ``source``.
    """
    speed, published = _read(SPEED), _read(FOLDER / "published.csv")
    rows = []
    for name in BACKBONES.list() if names is None else names:
        measured = speed.get(name, [{}])[0]
        figures = {
            column: float(measured[column]) if measured.get(column) else None for column in MEASURED
        }
        rows.append(
            {
                **BACKBONES.get(name)[0].to_dict(),
                "aliases": BACKBONES.aliases(name),
                **figures,
                "published": published.get(name, []),
            }
        )
    return rows


def cells(row):
    """Return the texts of a row of `table` under `HEADINGS`; the paper's is its address."""
    theirs = [r["ijbc"] for r in row["published"] if r["ijbc"]]
    speeds = (row["images_per_s_batch1"], row["images_per_s_batch32"])
    return [
        row["name"],
        f"{row['params']:,}",
        f"{row['macs'] / 1e6:,.1f}",
        str(row["embedding_size"]),
        "" if row["size_mb"] is None else f"{row['size_mb']:,.4g}",
        *("" if speed is None else f"{speed:,.4g}" for speed in speeds),
        theirs[0] if theirs else "",
        row["paper"],
    ]


def short(url):
    """Return what is shown of the address of a paper or a repository."""
    text = url.split("://", 1)[-1].replace("www.", "").rstrip("/")
    return text.replace("arxiv.org/abs/", "arXiv ").replace("github.com/", "")
