"""Figures that are drawn from the package's own formulas when the site is built."""

import pathlib

import numpy as np

__all__ = ["COLOURS", "draw_all", "draw_themes"]

# Each figure is drawn twice, since an image cannot follow the theme of the page: ink, grid.
THEMES = {"light": ("#333333", "#dddddd"), "dark": ("#cfd0d0", "#444444")}
SHOWN = ("normface", "cosface", "arcface", "combined")
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")


def draw_all(folder):
    """Draw the figures into `folder` as SVG; return their paths."""
    figures = {
        "target_logit": (_angles(_target_logits), (7, 3.8)),
        "policies": (_angles(_policies), (7, 3.8)),
        "recipes": (_recipes, (8, 6.4)),
    }
    return [
        path
        for name, (draw, size) in figures.items()
        for path in draw_themes(folder, name, draw, size)
    ]


def draw_themes(folder, name, draw, size):
    """Draw a figure once for each theme, ``draw(figure)`` filling it; return the paths."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "gluonface"  # the same file for the same figure
    matplotlib.rcParams["svg.fonttype"] = "none"
    return [
        _draw(pathlib.Path(folder) / f"{name}-{theme}.svg", draw, size, *THEMES[theme])
        for theme in THEMES
    ]


def _draw(path, draw, size, ink, grid):
    from matplotlib import pyplot

    names = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    colours = {name: ink for name in names}
    with pyplot.rc_context({**colours, "axes.edgecolor": grid, "grid.color": grid}):
        figure = pyplot.figure(figsize=size, layout="constrained")
        draw(figure)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, transparent=True, metadata={"Date": None})
        pyplot.close(figure)
    return path


def _angles(draw):
    """Return a function that fills a figure with `draw(axes)` over the angle to the centre."""

    def fill(figure):
        axes = figure.subplots()
        draw(axes)
        axes.set_xlabel("angle between embedding and its class centre (degrees)")
        axes.set_ylabel("logit of the target / s")
        axes.set_xlim(0, 180)
        axes.set_xticks(range(0, 181, 30))
        axes.grid(True, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)

    return fill


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


def _recipes(figure):
    """Draw the learning rate and the margin of each recipe over its run.

    Recipes with the same two curves share a plot.
    """
    from gluonface.training import list_recipes, load_config

    plots = {}
    for name in list_recipes():
        config = load_config(name)
        same = (config.schedule, config.margin_warmup, config.optimizer.lr, config.train.steps)
        plots.setdefault(repr((*same, config.loss.arguments.get("margin"))), []).append(
            (name, config)
        )
    grid = figure.subplots(-(-len(plots) // 2), 2, sharex=True, squeeze=False)
    for axes in grid.flat[len(plots) :]:
        axes.set_visible(False)
    for axes, named in zip(grid.flat, plots.values()):
        _schedule(axes, [name for name, _ in named], named[0][1])
    for axes in grid.flat[len(plots) - 2 : len(plots)]:  # the lowest of each column
        axes.set_xlabel("share of the run")
        axes.tick_params(labelbottom=True)


def _schedule(axes, names, config):
    from gluonface.training.schedules import learning_rate, margin_strength

    # A run that is given in epochs has as many steps as the data make; its schedule has shares.
    total = config.train.steps or 10_000
    steps = np.unique(np.linspace(0, total - 1, 600).astype(int))
    rate = learning_rate(config.schedule, config.optimizer.lr, total)
    strength = margin_strength(config.margin_warmup, total)
    share = steps / (total - 1)
    axes.plot(share, [rate(int(step)) for step in steps], color=COLOURS[0], lw=1.6)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("learning rate", color=COLOURS[0], fontsize=8)
    margin = axes.twinx()
    value = config.loss.arguments.get("margin")
    margin.plot(
        share, [strength(int(step)) * value for step in steps], "--", color=COLOURS[1], lw=1.6
    )
    margin.set_ylim(0, max(0.55, value * 1.1))
    margin.set_ylabel("margin", color=COLOURS[1], fontsize=8)
    families = {}
    for name in names:
        families.setdefault(name.split("-")[0], []).append(name)
    titles = [own[0] if len(own) == 1 else f"{family}-*" for family, own in families.items()]
    axes.set_title(", ".join(titles), fontsize=9)
    axes.grid(True, linewidth=0.6)
    for one in (axes, margin):
        one.spines[["top"]].set_visible(False)
        one.tick_params(labelsize=8)
