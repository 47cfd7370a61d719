"""Figures that are drawn from the package's own formulas when the site is built."""

import pathlib

import numpy as np

__all__ = ["draw_all"]

# Each figure is drawn twice, since an image cannot follow the theme of the page: ink, grid.
THEMES = {"light": ("#333333", "#dddddd"), "dark": ("#cfd0d0", "#444444")}
SHOWN = ("normface", "cosface", "arcface", "combined")
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")


def draw_all(folder):
    """Draw the figures into `folder` as SVG; return their paths."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "gluonface"  # the same file for the same figure
    matplotlib.rcParams["svg.fonttype"] = "none"
    figures = {"target_logit": _target_logits, "policies": _policies}
    return [
        _draw(pathlib.Path(folder) / f"{name}-{theme}.svg", draw, *THEMES[theme])
        for name, draw in figures.items()
        for theme in THEMES
    ]


def _draw(path, draw, ink, grid):
    from matplotlib import pyplot

    colours = {
        name: ink for name in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")
    }
    with pyplot.rc_context({**colours, "axes.edgecolor": grid, "grid.color": grid}):
        figure, axes = pyplot.subplots(figsize=(7, 3.8), layout="constrained")
        draw(axes)
        axes.set_xlabel("angle between embedding and its class centre (degrees)")
        axes.set_ylabel("logit of the target / s")
        axes.set_xlim(0, 180)
        axes.set_xticks(range(0, 181, 30))
        axes.grid(True, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, transparent=True, metadata={"Date": None})
        pyplot.close(figure)
    return path


def _curve(margin, theta):
    from gluonface._compat import mx

    cosine = mx.nd.array(np.cos(theta), dtype="float32")
    return margin.target(mx.nd, cosine, mx.nd.ones_like(cosine)).asnumpy()


def _target_logits(axes):
    """Draw one loss of each kind of margin, with the values of its paper."""
    from gluonface.loss import get_loss

    theta = np.linspace(0, np.pi, 721)
    for number, loss in enumerate(map(get_loss, SHOWN)):
        values = {
            name: getattr(loss, name) for name in loss.parameters if name not in ("scale", "policy")
        }
        label = f"{loss.name} ({', '.join(f'{k}={v:g}' for k, v in values.items()) or 'no margin'})"
        axes.plot(
            np.degrees(theta), _curve(loss, theta), color=COLOURS[number % 6], label=label, lw=1.6
        )


def _policies(axes):
    """Draw ArcFace with each policy for theta + margin above pi."""
    from gluonface.loss import LOSSES, get_loss

    theta = np.linspace(0, np.pi, 721)
    styles = {"hard": "-", "easy": "--", "none": ":", "psi": "-."}
    for number, policy in enumerate(LOSSES.get("arcface").parameters["policy"].choices):
        axes.plot(
            np.degrees(theta),
            _curve(get_loss("arcface", policy=policy), theta),
            styles.get(policy, "-"),
            color=COLOURS[number % 6],
            label=f"policy={policy!r}",
            lw=1.6,
        )
