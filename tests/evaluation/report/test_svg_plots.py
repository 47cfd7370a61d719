import re
import xml.etree.ElementTree as xml

import numpy as np
import pytest

from gluonface.evaluation.report import svg_plots
from gluonface.evaluation.report.svg_plots import Line

LEFT, RIGHT, TOP, BOTTOM = 70, 466, 14, 274  # of the frame, in units of the picture


def parsed(figure):
    """Return the root, the corners of each curve and the texts of a plot."""
    root = xml.fromstring(figure)  # well formed
    curves = {}
    for path in root.find("svg[@role='img']").iter("path"):
        if path.get("class").split()[0] in ("line", "area"):
            numbers = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d"))
            curves[path.get("class")] = np.array(numbers, float)
    return root, curves, [text.text for text in root.iter("text")]


def test_rates_are_written_as_people_write_them():
    rates = [1e-6, 9.94e-5, 0.000997, 0.001, 0.0123456, 0.1, 1, 0]
    written = ["1e-6", "9.94e-5", "9.97e-4", "0.001", "0.0123", "0.1", "1", "0"]
    assert [svg_plots.rate_text(rate) for rate in rates] == written


def test_the_roc_goes_over_a_logarithmic_axis():
    line = Line("a", [0, 0, 0.001, 0.1, 1], [0, 0.6, 0.7, 0.9, 1], ((0.1, 0.9),))
    root, curves, texts = parsed(svg_plots.roc([line], 0.001, "ROC", "ROC. 90 <%>"))
    corners = curves["line s0 d0"]
    # no false accept at all stands at the left edge, the lowest rate that is not 0
    assert (corners[:, 0].min(), corners[:, 0].max()) == (LEFT, RIGHT)
    third = (RIGHT - LEFT) / 3
    at = corners[np.isclose(corners[:, 0], LEFT + 2 * third, atol=0.06)]
    assert len(at) == 1, "0.1 lies at two of three decades"
    # the axis of TAR begins at 0.6, the tenth below 0.7, which is what the left edge shows
    assert at[0, 1] == pytest.approx(BOTTOM - 0.75 * (BOTTOM - TOP), abs=0.06)
    dot = root.find(".//circle")
    assert [float(dot.get("cx")), float(dot.get("cy"))] == pytest.approx(at[0], abs=0.06)
    assert {"0.001", "0.01", "0.1", "1", "False-accept rate"} <= set(texts)
    assert root.find("svg").get("aria-label") == "ROC. 90 <%>"


def test_a_curve_of_the_upper_end_alone_fills_the_axis():
    line = Line("a", [0, 1e-6, 2e-6], [0.5, 0.6, 0.7])
    _, _, texts = parsed(svg_plots.roc([line], 1e-8, "ROC", "x"))
    assert "1e-5" in texts
    assert "1" in texts  # of the other axis
    assert "0.001" not in texts


def test_det_draws_misses_and_their_floor():
    line = Line("a", [0, 0.01, 0.1, 1], [0.5, 0.9, 0.99, 1])
    _, curves, texts = parsed(svg_plots.det([line], 0.01, 0.001, "DET", "x"))
    corners = curves["line s0 d0"]
    heights = BOTTOM - (BOTTOM - TOP) * np.array([np.log10(500), 2, 1, 0]) / 3
    assert corners[[0, 1, 2, -1], 1] == pytest.approx(heights, abs=0.06)
    assert {"0.001", "0.01", "0.1", "1"} <= set(texts)


def test_cmc_and_its_legend():
    one = Line("G1", np.arange(1, 11), np.linspace(0.5, 1, 10))
    two = Line("G2 & co", np.arange(1, 11), np.linspace(0.6, 1, 10))
    root, curves, _ = parsed(svg_plots.cmc([one, two], "CMC", "x"))
    assert len(curves) == 2
    legend = ["".join(item.itertext()) for item in root.iter("li")]
    assert legend == ["G1", "G2 & co"]
    alone, _, _ = parsed(svg_plots.cmc([one], "CMC", "x"))
    assert alone.find("ul") is None, "one curve needs no legend"


def test_each_class_of_the_histogram_is_drawn_as_shares_of_its_own():
    edges = np.linspace(-1, 1, 21)
    same, different = np.zeros(20, int), np.zeros(20, int)
    same[15:17], different[9:11] = 5, (1000, 3000)
    limits = [(f"FAR {k}", 0.2 + 0.05 * k) for k in range(6)] + [("far away", 0.95)]
    root, curves, texts = parsed(svg_plots.histogram(edges, same, different, limits, "S", "x"))
    highest = {name: (BOTTOM - corners[:, 1].min()) for name, corners in curves.items()}
    # half of one class in a bin against three quarters of the other, whatever their numbers
    ratio = highest["area same"] / highest["area different"]
    assert ratio == pytest.approx(0.5 / 0.75, abs=0.002)
    assert [text for text in texts if text.startswith("FAR")] == [
        "FAR 0",
        "FAR 2",
        "FAR 3",
        "FAR 5",
    ]
    assert "far away" not in texts
    assert root.find(".//path[@class='limit']") is not None


def test_corners_that_change_nothing_are_left_out():
    x = np.repeat(np.linspace(0.001, 1, 5000), 2)[1:]
    y = np.repeat(np.linspace(0.5, 1, 5000), 2)[:-1]
    figure = svg_plots.roc([Line("a", x, y)], 0.001, "ROC", "x")
    assert len(figure) < 40_000
    straight = svg_plots.cmc([Line("a", np.arange(1, 101), np.ones(100))], "CMC", "x")
    assert len(parsed(straight)[1]["line s0 d0"]) == 2
