"""The table of backbones, for `gluonface models` and for the documentation.

It joins the registry with two files beside this module: ``speed.csv``, which
``docs/measure.py zoo`` writes, and ``published.csv``, figures that others published of networks
that they trained, each on their own data. None of the latter was measured here.
"""

from __future__ import annotations

import csv
import pathlib

from ._base import BACKBONES

__all__ = ["HEADINGS", "MEASURED", "SPEED", "cells", "short", "table"]

FOLDER = pathlib.Path(__file__).parent
SPEED = FOLDER / "speed.csv"
MEASURED = ("size_mb", "images_per_s_batch1", "images_per_s_batch32")  # its columns

# The columns that the command and the page show; `cells` gives their texts.
HEADINGS = (
    *("Name", "Parameters", "MMACs", "D", "MB"),
    *("Images/s, 1", "Images/s, 32", "IJB-C, theirs", "Paper"),
)


def _read(path):
    """Return {name: rows} of one of the two files; {} if it is not there."""
    found = {}
    if path.is_file():
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(row.pop("name"), []).append(row)
    return found


def table(names: list[str] | None = None) -> list[dict]:
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
        accept rate at a false accept rate of 1e-4, per cent), ``others``, ``source`` and
        ``licence`` (what is said of their weights; empty where nothing was looked up).
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


def cells(row: dict) -> list[str]:
    """Return the texts of a row of `table` under `HEADINGS`; the last is the paper's address."""
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


def short(url: str) -> str:
    """Return the address of a paper or a repository in short, such as ``arXiv 1804.07573``."""
    text = url.split("://", 1)[-1].replace("www.", "").rstrip("/")
    return text.replace("arxiv.org/abs/", "arXiv ").replace("github.com/", "")
