import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from matplotlib.patches import StepPatch

from gluonface.errors import InputError
from gluonface.evaluation.results import plots
from gluonface.evaluation.results.evaluation_result import ScoreHistogram
from gluonface.evaluation.results.plots import Curve


def shares(figure):
    """Return the curves of a figure with the place of their corners as shares of both axes."""
    (axes,) = figure.axes
    to_shares = axes.transData + axes.transAxes.inverted()
    curves = [line for line in axes.lines if line.get_marker() == "None"]
    return [to_shares.transform(curve.get_xydata()) for curve in curves]


def parsed(figure, alt="x"):
    """Return the root and the texts of the SVG of a plot."""
    root = xml.fromstring(f'<a xmlns:xlink="link">{plots.svg(figure, alt)}</a>')[0]  # well formed
    return root, [text.text for text in root.iter("text")]


def dots(figure):
    (axes,) = figure.axes
    to_shares = axes.transData + axes.transAxes.inverted()
    return [to_shares.transform(line.get_xydata()) for line in axes.lines
            if line.get_marker() == "o"]  # fmt: skip


def test_the_roc_goes_over_a_logarithmic_axis():
    curve = Curve("a", [0, 0, 0.001, 0.1, 1], [0, 0.6, 0.7, 0.9, 1], ((0.1, 0.9),), different=1000)
    figure = plots.roc([curve], "ROC")
    (corners,) = shares(figure)
    # no false accept at all stands at the left edge, the lowest rate that is not 0
    assert (corners[:, 0].min(), corners[:, 0].max()) == pytest.approx((0, 1))
    at = corners[np.isclose(corners[:, 0], 2 / 3, atol=1e-9)]
    assert len(at) == 1, "0.1 lies at two of three decades"
    # the axis of TAR begins at 0.6, the tenth below 0.7, which is what the left edge shows
    assert at[0, 1] == pytest.approx(0.75)
    assert dots(figure)[0][0] == pytest.approx(at[0])
    root, texts = parsed(figure, "ROC. 90 <%>")
    assert {"0.001", "0.01", "0.1", "1", "False-accept rate (FAR)"} <= set(texts)
    assert root.get("aria-label") == "ROC. 90 <%>"


def test_a_curve_of_the_upper_end_alone_fills_the_axis():
    curve = Curve("a", [0, 1e-6, 2e-6], [0.5, 0.6, 0.7], different=10**8)
    figure = plots.roc([curve], "ROC")
    assert figure.axes[0].get_xlim() == pytest.approx((1e-8, 1e-5))
    _, texts = parsed(figure)
    assert "1e-5" in texts
    assert "1" in texts  # of the other axis
    assert "0.001" not in texts


def test_det_draws_misses_and_their_floor():
    curve = Curve("a", [0, 0.01, 0.1, 1], [0.5, 0.9, 0.99, 1], same=1000, different=100)
    figure = plots.det([curve], "DET")
    (corners,) = shares(figure)
    heights = np.array([np.log10(500), 2, 1, 0]) / 3
    assert corners[[0, 1, 2, -1], 1] == pytest.approx(heights)
    assert {"0.001", "0.01", "0.1", "1"} <= set(parsed(figure)[1])


def test_cmc_and_its_legend():
    one = Curve("G1", np.arange(1, 11), np.linspace(0.5, 1, 10))
    two = Curve("G2 & co", np.arange(1, 11), np.linspace(0.6, 1, 10))
    figure = plots.cmc([one, two])
    assert len(shares(figure)) == 2
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["G1", "G2 & co"]
    assert set(legend) <= set(parsed(figure)[1])
    assert not plots.cmc([one]).legends, "one curve needs no legend"


def test_each_class_of_the_histogram_is_drawn_as_shares_of_its_own():
    same, different = np.zeros(20, int), np.zeros(20, int)
    same[15:17], different[9:11] = 5, (1000, 3000)
    limits = [(f"FAR {k}", 0.2 + 0.05 * k) for k in range(6)] + [("far away", 0.95)]
    scores = ScoreHistogram(np.linspace(-1, 1, 21), same, different)
    figure = plots.histogram(scores, limits, "S")
    heights = [patch.get_data().values.max() for patch in figure.axes[0].patches
               if isinstance(patch, StepPatch)]  # fmt: skip
    # half of one class in a bin against three quarters of the other, whatever their numbers
    assert heights == [0.5, 0.5, 0.75, 0.75]  # each an area and its outline
    _, texts = parsed(figure)
    assert [text for text in texts if text.startswith("FAR")] == [
        "FAR 0",
        "FAR 2",
        "FAR 3",
        "FAR 5",
    ]
    assert "far away" not in texts
    assert len(shares(figure)) == 4  # the lines of the thresholds


def test_corners_that_change_nothing_are_left_out():
    x = np.repeat(np.linspace(0.001, 1, 5000), 2)[1:]
    y = np.repeat(np.linspace(0.5, 1, 5000), 2)[:-1]
    text = plots.svg(plots.roc([Curve("a", x, y, different=1000)], "ROC"), "x")
    assert len(text) < 40_000
    straight = plots.svg(plots.cmc([Curve("a", np.arange(1, 1001), np.ones(1000))]), "x")
    (path,) = re.findall(r'd="([^"]*)"[^>]*stroke: var\(--s0\)', straight)
    assert len(re.findall(r"[ML]", path)) <= 3


def test_the_same_figure_is_the_same_text_for_both_themes():
    """Colours are variables of the page, words are text, and nothing is fetched or dated."""
    curve = Curve("a", [0, 0.01, 1], [0.5, 0.9, 1], ((0.01, 0.9),), different=100)
    texts = [plots.svg(plots.roc([curve, curve], "ROC"), "x") for _ in range(2)]
    assert texts[0] == texts[1]
    assert not re.search(r"#[0-9a-f]{6}|https?:|url\(|<style|<metadata| id=\"(?!m)", texts[0])
    assert {"ink", "soft", "line", "s0", "s1"} <= set(re.findall(r"var\(--(\w+)\)", texts[0]))


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_roc_as_a_file(tmp_path, evaluated, suffix):
    path = tmp_path / f"roc.{suffix}"
    evaluated[0][0].plot_roc(path)
    head = path.read_bytes()[:300]
    assert {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF"}[suffix] in head or suffix == "svg"
    assert len(path.read_bytes()) > 5000
    with pytest.raises(InputError, match=r"\.jpg; plots are written as"):
        evaluated[0][0].plot_roc(tmp_path / "roc.jpg")


def test_the_far_axis_is_logarithmic_and_reaches_the_smallest_far(evaluated):
    results, _ = evaluated
    figure = plots.roc([plots.rate_curve(result.label, result) for result in results], "ROC")
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == (0.01, 1)  # 30 different pairs: the smallest share is 0.033
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        f"flip {one.flip}  AUC {one.auc:.4f}  EER {one.eer:.4f}" for one in results
    ]  # fmt: skip
    lines = [line for line in axes.lines if len(line.get_xdata()) > 3]
    assert len(lines) == 3
    for line, result in zip(lines, results):
        shown = np.maximum(result.roc().tpr, axes.get_ylim()[0])  # below is the edge
        np.testing.assert_array_equal(line.get_ydata(), shown)
        assert line.get_xdata().min() == 0.01


def test_the_histogram_holds_every_pair(evaluated):
    result = evaluated[0][0]
    limits, band = [("mean of folds", result.cosine_threshold)], (0.1, 0.9)
    figure = plots.histogram(result.histogram, limits, "Scores", band=band)
    areas = [p.get_data().values for p in figure.axes[0].patches if isinstance(p, StepPatch)]
    assert [30 * area.sum() for area in areas] == pytest.approx([30] * 4)  # area and outline
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:2] == ["same person: 30", "different people: 30"]
    assert f"threshold {result.cosine_threshold:.3f} (folds 0.100 to 0.900)" in labels[2]


def test_the_users_pyplot_is_left_alone(tmp_path):
    code = (
        "import sys, numpy as np; from gluonface.evaluation import evaluate;"
        "x = np.random.default_rng(0).normal(size=(2, 40, 4)); same = np.arange(40) % 2 == 0;"
        f"evaluate(*x, same).plot_roc({str(tmp_path / 'roc.png')!r});"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "DISPLAY": ":9"})
