"""Plots of the model zoo as inline SVG: a name appears where one points.

They stand in the page itself, not in an <img>: so they take the colours of the page, light or dark,
and each point has a <title>, which browsers show and screen readers read.
"""

import html
import math

__all__ = ["pages"]

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 14, 44
PROJECTS = {  # address -> name, class of its colour in gluonface.css, form of its points
    "https://github.com/cavalleria/cavaface": ("cavaface", "c0", "circle"),
    "https://github.com/deepinsight/insightface": ("insightface", "c1", "square"),
    "https://github.com/mk-minchul/AdaFace": ("AdaFace", "c2", "triangle"),
    "https://github.com/mk-minchul/CVLface": ("CVLface", "c2", "square"),
    "https://github.com/gau-nernst/timm-face": ("timm-face", "c3", "circle"),
}


def pages():
    """Return {file name: reST} of the two plots."""
    from gluonface.model_zoo._table import table

    rows = table()
    return {
        "zoo_accuracy.inc": _inline(_accuracy(rows)),
        "zoo_speed.inc": _inline(_speed(rows)),
    }


def _inline(svg):
    lines = ['<div class="zoo-plot">', *svg.split("\n"), "</div>"]
    return ".. raw:: html\n\n" + "".join(f"   {line}\n" for line in lines)


def _accuracy(rows):
    """Return the published IJB-C accuracies over the multiply-accumulates."""
    points = []
    for row in rows:
        for figure in row["published"]:
            if figure["ijbc"] and figure["source"] in PROJECTS:
                _, colour, form = PROJECTS[figure["source"]]
                about = ", ".join(filter(None, (figure["data"], figure["loss"])))
                points.append((row["macs"] / 1e6, float(figure["ijbc"]), row["name"],
                               f"{figure['ijbc']} %, {row['macs'] / 1e6:,.0f} MMACs ({about})",
                               colour, form))  # fmt: skip
    return _plot(
        points,
        (math.floor(min(p[1] for p in points)), math.ceil(max(p[1] for p in points))),
        False,
        "Published accuracy on IJB-C over the multiply-accumulates of the backbone",
        "TAR at FAR 1e-4 on IJB-C, % (published)",
        list(PROJECTS.values()),
    )


def _speed(rows):
    """Return our images/s over the multiply-accumulates."""
    forms = (
        ("batch 1", "c0", "circle", "images_per_s_batch1"),
        ("batch 32", "c1", "square", "images_per_s_batch32"),
    )
    points = [
        (row["macs"] / 1e6, row[column], row["name"],
         f"{row[column]:,.4g} images/s, {name}, {row['macs'] / 1e6:,.0f} MMACs", colour, form)
        for name, colour, form, column in forms
        for row in rows
        if row[column]
    ]  # fmt: skip
    values = [p[1] for p in points]
    return _plot(
        points,
        (10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))),
        True,
        "Speed of inference over the multiply-accumulates of the backbone",
        "images per second, 2 cores (measured)",
        [form[:3] for form in forms],
    )


def _plot(points, limits, logarithmic, title, y_label, legend):
    xs = [p[0] for p in points]
    low, high = math.log10(min(xs)) - 0.06, math.log10(max(xs)) + 0.1

    def scale(value):
        return math.log10(value) if logarithmic else value

    bottom, top = map(scale, limits)

    def x(value):
        return LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value):
        share = (scale(value) - bottom) / (top - bottom)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="zoo-plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}">',
    ]
    decades = [m * 10**e for e in range(0, 6) for m in (1, 2, 5)]
    for tick in (t for t in decades if low <= math.log10(t) <= high):
        parts.append(
            f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" '
            f'y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick" x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" '
            f'text-anchor="middle">{tick:,}</text>'
        )
    if logarithmic:
        ticks = [t for e in range(-3, 6) for t in (10.0**e,) if limits[0] <= t <= limits[1]]
    else:
        ticks = range(limits[0], limits[1] + 1)
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" '
            f'y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" '
            f'text-anchor="end">{tick:,g}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">'
        "multiply-accumulates of one image, millions</text>"
        f'<text transform="translate(13 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">{html.escape(y_label)}</text>'
    )
    # The names of the best for their size are shown always, where there is room.
    shown, best = [], None
    for place in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if best is None or points[place][1] > best:
            best = points[place][1]
            shown.append(place)
    places = [(x(p[0]), y(p[1]), p[2]) for p in points]
    labels = [] if logarithmic else _labels([places[i] for i in shown], places)
    for left, top_, name, anchor in labels:
        parts.append(
            f'<text class="best" x="{left:.1f}" y="{top_:.1f}" text-anchor="{anchor}">'
            f"{html.escape(name)}</text>"
        )
    for macs, value, name, about, colour, form in points:
        left, top_ = x(macs), y(value)
        anchor, move = ("end", -9) if left > WIDTH * 0.55 else ("start", 9)
        parts.append(
            f'<g class="point {colour}"><title>{html.escape(f"{name}: {about}")}</title>'
            f"{_mark(form, left, top_)}"
            f'<text class="name" x="{left + move:.1f}" y="{max(top_ - 8, TOP + 10):.1f}" '
            f'text-anchor="{anchor}">{html.escape(f"{name}: {about}")}</text></g>'
        )
    # The legend: at the lower right for accuracies, which rise; at the upper right for speeds.
    for place, (name, colour, form) in enumerate(legend):
        top_ = (TOP + 16 if logarithmic else HEIGHT - BOTTOM - 14 * len(legend)) + 16 * place
        parts.append(
            f'<g class="{colour}">{_mark(form, WIDTH - RIGHT - 96, top_)}</g>'
            f'<text x="{WIDTH - RIGHT - 86}" y="{top_ + 4}">{html.escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def _labels(wanted, points):
    """Return (x, y, name, anchor) of the names that overlap no point and no earlier name."""
    found, boxes = [], [(left - 4, top - 4, left + 4, top + 4) for left, top, _ in points]
    for left, top, name in wanted:
        long = 6.2 * len(name)
        for anchor, begin, drop in (
            ("end", left - 7 - long, -5),
            ("start", left + 8, 14),
            ("end", left - 7 - long, 14),
        ):
            box = (begin, top + drop - 10, begin + long, top + drop + 3)
            inside = box[0] > LEFT + 2 and box[2] < WIDTH - RIGHT and box[1] > TOP
            apart = all(
                box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes
            )
            if inside and apart:
                boxes.append(box)
                edge = left - 7 if anchor == "end" else left + 8
                found.append((edge, top + drop, name, anchor))
                break
    return found


def _mark(form, x, y):
    if form == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    if form == "square":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    return f'<path d="M{x:.1f} {y - 5.5:.1f}l5 9h-10z"/>'
