"""Plots as SVG text for a page: they follow its light or dark theme, and their words are text.

Colours are classes (``s0`` to ``s5``, ``same``, ``different``) that `_page` gives values to.
"""

import dataclasses
import html
import math

import numpy as np

__all__ = ["Line", "cmc", "det", "histogram", "rate_text", "roc"]

_WIDTH, _HEIGHT = 480, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 14, 14, 46
_COLOURS = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """One curve.

    Attributes
    ----------
    label : str
        For the legend.
    x, y : array_like, shape (n,)
        Corners, joined by straight lines.
    marks : sequence of (x, y)
        Dots on it.
    """

    label: str
    x: object
    y: object
    marks: tuple = ()


class _Axis:
    """Maps values to 0..1, linearly or by their logarithm."""

    def __init__(self, low, high, log=False):
        self.low, self.high, self.log = float(low), float(high), log
        if log:
            self._ends = math.log10(low), math.log10(high)
        else:
            self._ends = self.low, self.high

    def place(self, values):
        values = np.clip(np.asarray(values, np.float64), self.low, self.high)
        values = np.log10(values) if self.log else values
        return (values - self._ends[0]) / (self._ends[1] - self._ends[0])

    def ticks(self):
        low, high = self._ends
        if self.log:
            first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
            step = max(1, -(-(last - first) // 8))
            powers = [10.0**p for p in range(last, first - 1, -step)][::-1]
            if len(powers) <= 2:
                fine = [k * 10.0**p for p in range(first - 1, last + 1) for k in (1, 2, 5)]
                powers = [t for t in fine if self.low * 0.999 <= t <= self.high * 1.001]
            return powers
        rough = (high - low) / 5
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * k for k in (1, 2, 2.5, 5, 10) if size * k >= rough * 0.999)
        first = math.ceil(low / step - 1e-9)
        ticks = [number * step for number in range(first, first + 12)]
        return [tick for tick in ticks if tick <= high + 1e-9 * step]


def rate_text(rate):
    """Return a rate as people write it: 0.001, but 1e-4 and not 1e-04."""
    if 0 < rate < 0.000999:
        head, power = f"{rate:.2e}".split("e")
        return f"{head.rstrip('0').rstrip('.')}e{int(power)}"
    return f"{rate:.3g}"


def roc(lines, lowest, title, says, far="False-accept rate", tar="True-accept rate"):
    """Draw true-accept rate over a logarithmic false-accept rate.

    Parameters
    ----------
    lines : sequence of Line
        ``x`` the false-accept rate, ``y`` the true-accept rate.
    lowest : float
        The smallest rate that is not 0: one over the number of different pairs.
    title, says : str
        What the plot is, and its figures in words for those who cannot see it.
    far, tar : str
        Names of the axes.

    Returns
    -------
    str
    """
    x = _far_axis(lines, lowest)
    # No false accept at all has no place on a logarithmic axis; it is at the left edge.
    at_left = [np.asarray(line.y)[np.asarray(line.x) <= x.low] for line in lines]
    floor = min((float(part.max()) for part in at_left if len(part)), default=0.0)
    bottom = max(0.0, math.floor((floor - 0.02) * 10) / 10)
    lines = [_from_edge(line, x.low) for line in lines]
    return _chart(lines, x, _Axis(bottom, 1.0), far, tar, title, says)


def det(lines, lowest, resolution, title, says, far="False-accept rate", frr="False-reject rate"):
    """Draw the false-reject rate over the false-accept rate, both logarithmic (DET).

    Parameters
    ----------
    lines : sequence of Line
        ``x`` the false-accept rate, ``y`` the true-accept rate.
    lowest, resolution : float
        The smallest rates that are not 0, of false accepts and of false rejects.
    title, says, far, frr : str
        See `roc`.
    """
    x = _far_axis(lines, lowest)
    low = 10.0 ** math.floor(math.log10(resolution) + 1e-9)
    missed = []
    for line in lines:
        line = _from_edge(line, x.low)
        y = np.maximum(1 - np.asarray(line.y, np.float64), low)
        marks = tuple((a, max(1 - b, low)) for a, b in line.marks)
        missed.append(Line(line.label, line.x, y, marks))
    highest = max(float(np.max(line.y)) for line in missed)
    top = 1.0 if highest > 0.5 else 10.0 ** math.ceil(math.log10(highest) - 1e-9)
    return _chart(missed, x, _Axis(low, max(top, low * 10), True), far, frr, title, says)


def cmc(lines, title, says):
    """Draw the share of probes found (`y`) by rank (`x`, from 1)."""
    last = max(2.0, max(float(np.max(line.x)) for line in lines))
    floor = min(float(np.min(line.y)) for line in lines)
    bottom = max(0.0, math.floor((floor - 0.02) * 10) / 10)
    x = _Axis(1.0, last, log=True)
    return _chart(lines, x, _Axis(bottom, 1.0), "Rank", "Share of probes found", title, says)


def histogram(edges, same, different, thresholds, title, says, names=("same", "different")):
    """Draw how the scores of both classes spread, each as shares of its own number.

    Parameters
    ----------
    edges : numpy.ndarray, shape (bins + 1,)
    same, different : numpy.ndarray, shape (bins,)
        Counts.
    thresholds : sequence of (text, score)
        Drawn as lines; at most four of them.
    title, says : str
    names : (str, str)
        Of the classes, for the legend.
    """
    used = np.flatnonzero(same + different)
    shown = slice(max(used[0] - 1, 0), used[-1] + 2)
    heights = [
        np.asarray(part, np.float64)[shown] / max(part.sum(), 1) for part in (same, different)
    ]
    edges = np.asarray(edges)[shown.start : shown.start + len(heights[0]) + 1]
    top = max(float(part.max()) for part in heights)
    x, y = _Axis(edges[0], edges[-1]), _Axis(0.0, (top or 1.0) * 1.12)
    parts, names_of_limits = [*_grid(x, y, "Score", "Share of the class")], []
    for kind, part in zip(("same", "different"), heights):
        across, up = np.repeat(edges, 2), np.concatenate([[0], np.repeat(part, 2), [0]])
        parts.append(f'<path class="area {kind}" d="{_path(_h(x, across), _v(y, up))}"/>')
    inside = [(text, score) for text, score in thresholds if edges[0] < score < edges[-1]]
    for number, (text, score) in enumerate(_spread(inside, x)):
        at, height = float(_h(x, score)), _TOP + 11 + 13 * (number % 4)
        anchor = "end" if at > _WIDTH - 80 else "start"
        side = -4 if anchor == "end" else 4
        parts.append(f'<path class="limit" d="M{at:.1f} {_HEIGHT - _BOTTOM}V{_TOP}"/>')
        names_of_limits.append(
            f'<text class="limit-name" x="{at + side:.1f}" y="{height}" text-anchor="{anchor}">'
            f"{html.escape(text)}</text>"
        )
    keys = [(f"area {kind}", name) for kind, name in zip(("same", "different"), names)]
    if inside:
        keys.append(("limit", "threshold"))
    return _figure(parts + names_of_limits, keys, title, says)


def _spread(thresholds, axis):
    """Return up to four of the thresholds, so that their names do not all lie on each other."""
    thresholds = sorted(thresholds, key=lambda item: item[1])
    if len(thresholds) > 4:
        chosen = np.unique(np.linspace(0, len(thresholds) - 1, 4).round().astype(int))
        thresholds = [thresholds[number] for number in chosen]
    return thresholds


def _far_axis(lines, lowest):
    left = 10.0 ** math.floor(math.log10(lowest) + 1e-9)
    right = max(float(np.max(line.x)) for line in lines)
    # Below 1 where only the upper end of the scores is known.
    power = math.ceil(math.log10(max(right, left * 10)) - 1e-9)
    return _Axis(left, min(1.0, 10.0**power), log=True)


def _from_edge(line, left):
    """Return the line with what is left of the axis put onto its edge."""
    return Line(line.label, np.maximum(line.x, left), line.y, line.marks)


def _chart(lines, x, y, x_name, y_name, title, says):
    parts = [*_grid(x, y, x_name, y_name)]
    keys = []
    for number, line in enumerate(lines):
        kind = f"line s{number % _COLOURS} d{number // _COLOURS % 3}"
        parts.append(f'<path class="{kind}" d="{_path(_h(x, line.x), _v(y, line.y))}"/>')
        for a, b in line.marks:
            if x.low <= a <= x.high:
                parts.append(
                    f'<circle class="dot s{number % _COLOURS}" cx="{float(_h(x, a)):.1f}" '
                    f'cy="{float(_v(y, b)):.1f}" r="3.5"/>'
                )
        keys.append((kind, line.label))
    return _figure(parts, keys if len(keys) > 1 else (), title, says)


def _h(axis, values):
    return _LEFT + axis.place(values) * (_WIDTH - _LEFT - _RIGHT)


def _v(axis, values):
    return _HEIGHT - _BOTTOM - axis.place(values) * (_HEIGHT - _TOP - _BOTTOM)


def _path(across, down):
    """Return the path through points, without those that change nothing at this size."""
    points = np.stack([across, down], axis=1).round(1)
    points = points[np.concatenate([[True], (points[1:] != points[:-1]).any(axis=1)])]
    if len(points) > 2:
        before, after = np.diff(points[:-1], axis=0), np.diff(points[1:], axis=0)
        straight = ((before == 0) & (after == 0)).any(axis=1)  # along one axis before and after
        points = points[np.concatenate([[True], ~straight, [True]])]
    return "M" + "L".join(f"{a:g} {b:g}" for a, b in points)


def _grid(x, y, x_name, y_name):
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for tick in x.ticks():
        at = float(_h(x, tick))
        yield f'<path class="grid" d="M{at:.1f} {_TOP}V{bottom}"/>'
        yield f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{_tick(tick)}</text>'
    for tick in y.ticks():
        at = float(_v(y, tick))
        yield f'<path class="grid" d="M{_LEFT} {at:.1f}H{right}"/>'
        yield f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_tick(tick)}</text>'
    yield f'<path class="frame" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>'
    middle = (_LEFT + right) / 2
    text = '<text class="axis" text-anchor="middle"'
    yield f'{text} x="{middle:g}" y="{_HEIGHT - 8}">{x_name}</text>'
    middle = (_TOP + bottom) / 2
    yield f'{text} x="12" y="{middle:g}" transform="rotate(-90 12 {middle:g})">{y_name}</text>'


def _tick(value):
    if value == 0 or abs(value) < 1e-12:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return rate_text(value) if value > 0 else f"{value:.3g}".replace("-", "\u2212")


def _figure(parts, keys, title, says):
    listed = "".join(
        f'<li><svg class="key" viewBox="0 0 26 12" aria-hidden="true">{_key(kind)}</svg>'
        f"{html.escape(label)}</li>"
        for kind, label in keys
    )
    legend = f'<ul class="legend">{listed}</ul>' if listed else ""
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(says)}">{"".join(parts)}</svg>'
        f"{legend}</figure>"
    )


def _key(kind):
    if kind.startswith("area"):
        return f'<path class="{kind}" d="M1 1H25V11H1Z"/>'
    return f'<path class="{kind}" d="M1 6H25"/>'
