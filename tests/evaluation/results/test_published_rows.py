"""Own figures beside published ones, and why some may not be compared."""

import dataclasses
import json
import re

import pytest

from gluonface.cli import main
from gluonface.errors import DataError
from gluonface.evaluation.results.published_rows import (
    OwnFigure,
    compare_figures,
    own_figures,
    published_figures,
)


def test_every_published_figure_is_read():
    """Numbers of published.csv that no figure has would be forgotten silently."""
    import csv
    from collections import Counter

    from gluonface.model_zoo import _table

    found = Counter(figure.value for figure in published_figures())
    with open(_table.FOLDER / "published.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            texts = [row["ijbc"]] if row["ijbc"] else []
            texts += re.findall(r"(?<![\w.-])\d\d?\.\d+", row["others"])
            for text in texts:
                assert found[float(text)], f"{row['name']}: {text}"


def rows(own):
    return compare_figures(own, published_figures())


def test_rows_that_may_be_compared_come_first_with_the_own_network():
    own = OwnFigure("LFW", 99.5, "mixfacenet_s", "sum", 6000, 10)
    found = rows(own)
    assert (found[0][0].network, found[0][0].value) == ("mixfacenet_s", 99.60)
    assert all(why is None for _, why in found)
    others = [row.value for row, _ in found[1:]]
    assert others == sorted(others, reverse=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pairs": 200}, "the published set has 6,000 pairs, yours 200"),
        ({"folds": 5}, "mean of 10 folds, yours of 5"),
        ({"flip": "none"}, "yours has flip none"),
    ],
)
def test_reasons_of_pairs(change, words):
    own = dataclasses.replace(OwnFigure("LFW", 99.5, None, "sum", 6000, 10), **change)
    assert all(words in why for _, why in rows(own))


def test_reasons_of_ijb_depend_on_the_table():
    for normalized in (False, True):
        own = OwnFigure("IJB-C 1e-4", 95.0, None, "sum", normalized=normalized)
        for row, why in rows(own):
            assert (why is None) == (("cavaface" in row.source) == normalized)
    found = rows(OwnFigure("MegaFace rank 1", 80.0, None, "sum", refined=False))
    assert all("refined lists (R)" in why for _, why in found)


def test_figures_of_every_kind_of_document():
    pair = {"pack": "agedb_30", "accuracy": 0.97, "flip": "sum", "n_pairs": 6000, "folds": 10}
    (figure,) = own_figures({"results": [pair], "model": {"name": "mbf"}}, "x")
    assert figure == OwnFigure("AgeDB-30", 97.0, "mbf", "sum", 6000, 10)
    run = {
        "best": {"step": 6, "accuracy": 0.97},
        "history": [{"step": 3, "packs": {}}, {"step": 6, "packs": {"agedb_30": pair}}],
    }
    assert own_figures(run, "x", "mbf") == [figure]
    ijb = {
        "protocol": "IJB 1:1",
        "name": "",
        "inputs": {"ijbc_template_pair_label.txt": "0"},
        "settings": {"normalize_images": True},
        "flip": "sum",
        "operating_points": [
            {"convention": "strict", "target": 1e-4, "tar": 0.1},
            {"convention": "reference", "target": 1e-4, "tar": 0.95},
        ],
    }
    assert own_figures({"results": [ijb]}, "x") == [
        OwnFigure("IJB-C 1e-4", 95.0, None, "sum", normalized=True)
    ]
    megaface = {"protocol": "MegaFace", "flip": "sum", "ranks": [{"rank": 1, "rate": 0.9}]}
    assert own_figures({"results": [megaface]}, "x") == [
        OwnFigure("MegaFace rank 1", 90.0, None, "sum", refined=False)
    ]
    for wrong in ({}, [], {"results": [{}]}, {"results": []}, {"history": [], "best": {}}):
        with pytest.raises(DataError, match=r"^x "):
            own_figures(wrong, "x")


def test_the_command(tmp_path, capsys):
    pairs = [
        {"pack": name, "accuracy": 0.99, "flip": flip, "n_pairs": 6000, "folds": 10}
        for name, flip in (("lfw", "sum"), ("lfw", "none"), ("mine", "sum"))
    ]
    file = tmp_path / "verification.json"
    history = [{"step": 1, "packs": {"lfw": pairs[0]}}]
    file.write_text(json.dumps({"best": {"step": 1}, "history": history}))
    (tmp_path / "config.yaml").write_text("model: {name: mixfacenet_m}\n")
    assert main(["compare-published", str(tmp_path), "--json", str(tmp_path / "o.json")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("LFW: yours is 99.00 %, flip sum (mixfacenet_m)")
    assert "99.68" in printed.splitlines()[2]
    assert "-0.68" in printed.splitlines()[2]
    (written,) = json.loads((tmp_path / "o.json").read_text())
    assert written["published"][0]["network"] == "mixfacenet_m"
    file.write_text(json.dumps({"results": pairs}))
    assert main(["compare-published", str(file)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"not comparable \(\d+ rows:", printed)
    assert "mine: yours is 99.00 %" in printed
    assert "there is no published row of this set" in printed
    assert main(["compare-published", str(tmp_path / "none")]) == 2
    file.write_text("{}")
    assert main(["compare-published", str(file)]) == 1
