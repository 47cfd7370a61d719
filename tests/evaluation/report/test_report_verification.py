import base64
import dataclasses
import html.parser
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.errors import InputError
from gluonface.evaluation import evaluate
from gluonface.evaluation.protocols import verification
from gluonface.evaluation.report import plots, verification_report


class Page(html.parser.HTMLParser):
    """Collects what a page shows and what it would load from elsewhere."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, path):
        super().__init__()
        self.text, self.sources, self.open, self.links, self.plots = "", [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            assert attributes["alt"]
            self.sources.append(attributes["src"])
        if attributes.get("role") == "img":
            self.plots.append(attributes["aria-label"])
        self.links += [attributes[key] for key in ("href", "srcset") if key in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def picture(path):
    image = cv2.imread(str(path))
    assert image is not None, path
    return image


FLIPS = ("none", "sum", "concat")


@pytest.fixture(scope="module")
def evaluated(make_pack, new_embedder):
    """Return results with errors, in three flip forms, and their pack."""
    pack = make_pack(pairs=60, noise=90)
    results = verification.evaluate_pack(new_embedder(), pack, FLIPS)
    assert any(call.error for call in results["none"].calls())
    return list(results.values()), pack


@pytest.fixture(scope="module")
def written(tmp_path_factory, evaluated):
    """Return the folder of the report of `evaluated`, written twice over."""
    results, pack = evaluated
    folder = tmp_path_factory.mktemp("report") / "a" / "b"
    verification_report.write_report(folder, results[:1], {"made": pack})
    card = {"name": "block-means", "scale": 0.5}
    assert (
        verification_report.write_report(folder, results, {"made": pack}, card)
        == folder / "index.html"
    )
    return folder


def test_the_folder_holds_data_pictures_and_a_page(written):
    names = {"index.html", "verification.json", "made-roc.png"}
    names |= {f"made-{flip}-{kind}.png" for flip in FLIPS for kind in ("scores", "errors")}
    assert {path.name for path in written.iterdir()} == names
    facts = json.loads((written / "verification.json").read_text())
    assert [row["flip"] for row in facts["results"]] == list(FLIPS)
    assert facts["model"]["name"] == "block-means"
    for name in names - {"index.html", "verification.json"}:
        image = picture(written / name)
        assert (image[0] == 255).all(), f"{name} has a white background"
        assert (image < 128).any(), f"{name} is empty"


def test_the_page_needs_no_other_file(written, evaluated):
    results, _ = evaluated
    page = Page(written / "index.html")
    assert page.open == []  # every element is closed
    assert page.links == []
    shown = sum(len(result.hardest(10)) for result in results)
    assert len(page.sources) == 2 * shown
    assert [said.split(".")[0] for said in page.plots] == [
        "ROC",
        "DET",
        *(f"Scores: flip {flip}" for flip in FLIPS),
    ]
    for source in page.sources:
        head, _, data = source.partition(",")
        assert head == "data:image/png;base64"
        assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1) is not None
    raw = (written / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|https?://|url\(|@import", raw)
    assert "prefers-color-scheme: dark" in raw
    for result in results:
        assert f"{result.accuracy:.4f} ± {result.accuracy_std:.4f}" in page.text
    assert "block-means" in page.text


def test_each_hard_error_shows_both_images_the_score_and_the_truth(written, evaluated):
    results, pack = evaluated
    page = Page(written / "index.html")
    faces = page.sources
    for place, call in enumerate(results[0].hardest(10)):
        truth = "the same person" if call.same else "different people"
        sign = "above" if call.accepted else "not above"
        said = f"They are {truth}. Score {call.score:.3f}, {sign} the threshold"
        assert f"{call.kind}{said} {call.threshold:.3f}. Pair {call.index}" in page.text
        for side in (0, 1):
            data = base64.b64decode(faces[2 * place + side].partition(",")[2])
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), 1)[:, :, ::-1]
            np.testing.assert_array_equal(decoded, pack.images(call.index)[side])


def test_the_title_says_how_many_errors_there_are(noisy_pairs):
    def title(noise, n=200):
        e, _, issame = noisy_pairs(n, seed=3, noise=noise)
        result = evaluate(e[0::2], e[1::2], issame)
        errors = sum(call.error for call in result.calls())
        return errors, verification_report.errors_title(result, result.hardest(10))

    errors, said = title(1.0)
    assert errors > 10
    assert said == f"the 10 hardest of {errors} errors in 200 pairs"
    assert title(0.05) == (0, "no errors in 200 pairs; the 10 closest calls")
    few = [title(noise) for noise in (0.3, 0.4, 0.5, 0.55, 0.6)]
    assert all(
        said == (f"all {n} errors of 200 pairs, hardest first") for n, said in few if 1 < n <= 10
    )
    assert any(1 < n <= 10 for n, _ in few)


def test_no_errors_is_said_and_the_closest_calls_are_shown(tmp_path, make_pack, pixel_embedder):
    pack = make_pack(pairs=40, noise=2)
    result = verification.evaluate_pack(pixel_embedder, pack, ("sum",))["sum"]
    assert result.accuracy == 1
    page = Page(verification_report.write_report(tmp_path, [result], {"made": pack}))
    assert "no errors in 40 pairs; the 10 closest calls" in page.text
    assert page.text.count("true accept") + page.text.count("true reject") == 10
    assert len(page.sources) == 20


def test_one_kind_of_pairs_has_no_roc(tmp_path, make_pack, pixel_embedder):
    pack = make_pack(issame=[True] * 20)
    result = verification.evaluate_pack(pixel_embedder, pack, ("none",))["none"]
    page = Page(verification_report.write_report(tmp_path, [result], {"made": pack}))
    assert not (tmp_path / "made-roc.png").exists()
    assert "all 20 pairs are same pairs" in page.text
    with pytest.raises(InputError, match="no ROC to draw"):
        result.plot_roc(tmp_path / "x.png")


def test_stored_embeddings_have_no_pictures_of_pairs(tmp_path, noisy_pairs):
    e, f, issame = noisy_pairs(60, seed=0)
    results = verification.evaluate_variants(e, f, issame, ("none", "sum")).values()
    page = Page(verification_report.write_report(tmp_path, results))
    assert not page.sources
    assert len(page.plots) == 4
    assert not list(tmp_path.glob("*errors.png"))
    assert "stored embeddings" in page.text
    assert "Pair " in page.text


def test_names_are_text_and_never_markup_or_paths(tmp_path, noisy_pairs):
    e, _, issame = noisy_pairs(60, seed=0)
    name = "../../<script>alert(1)</script> & co"
    result = dataclasses.replace(evaluate(e[0::2], e[1::2], issame), pack=name, flip="none")
    folder = tmp_path / "in" / "here"
    page = Page(
        verification_report.write_report(folder, [result], model={"name": "<b>", "notes": ["<i>"]})
    )
    assert name in page.text
    assert not {"script", "b", "i"} & set(re.findall(r"<(script|b|i)[ >]", page.rawdata))
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]
    assert list((tmp_path / "in").iterdir()) == [folder]


def test_a_folder_that_cannot_be_made(tmp_path, evaluated):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be made"):
        verification_report.write_report(tmp_path / "file" / "report", evaluated[0])
    with pytest.raises(InputError, match="no results"):
        verification_report.write_report(tmp_path, [])


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_roc_as_a_file(tmp_path, evaluated, suffix):
    path = tmp_path / f"roc.{suffix}"
    evaluated[0][0].plot_roc(path)
    head = path.read_bytes()[:300]
    assert {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF"}[suffix] in head or suffix == "svg"
    assert len(path.read_bytes()) > 5000
    with pytest.raises(InputError, match=r"\.jpg; plots are written as"):
        evaluated[0][0].plot_roc(tmp_path / "roc.jpg")


def test_the_far_axis_is_logarithmic_and_reaches_the_smallest_far(tmp_path, evaluated, monkeypatch):
    kept = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: kept.append(figure))
    results, _ = evaluated
    plots.roc(results, tmp_path / "x.png")
    axes = kept[0].axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == (0.01, 1)  # 30 different pairs: the smallest share is 0.033
    assert len(axes.get_legend().get_texts()) == 3
    lines = [line for line in axes.lines if len(line.get_xdata()) > 1]
    for line, result in zip(lines, results):
        np.testing.assert_array_equal(line.get_ydata(), result.roc().tpr)
        assert line.get_xdata().min() == 0.01


def test_the_histogram_holds_every_pair(tmp_path, evaluated, monkeypatch):
    kept = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: kept.append(figure))
    result = evaluated[0][0]
    plots.score_histogram(result, tmp_path / "x.png")
    axes = kept[0].axes[0]
    bars = sum(patch.get_height() for patch in axes.patches if hasattr(patch, "get_width"))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[:2] == ["same person: 30 pairs", "different people: 30 pairs"]
    assert f"threshold {result.cosine_threshold:.3f}" in labels[2]
    assert bars - 1 == pytest.approx(60)  # one patch is the band of the thresholds, of height 1


def test_the_users_pyplot_is_left_alone(tmp_path):
    code = (
        "import sys, numpy as np; from gluonface.evaluation import evaluate;"
        "x = np.random.default_rng(0).normal(size=(2, 40, 4)); same = np.arange(40) % 2 == 0;"
        f"evaluate(*x, same).plot_roc({str(tmp_path / 'roc.png')!r});"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "DISPLAY": ":9"})
