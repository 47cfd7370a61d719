"""A page per loss and the table that compares them, from the registries and the docstrings."""

import inspect
import io
import pathlib
import re

import _generate  # which imports this module: look names up when they are needed
import numpy as np
from _figures import COLOURS, THEMES
from _lfw import LFW

__all__ = ["draw_all", "pages"]

THETA = np.linspace(0, np.pi, 361)
STYLES = ("-", "--", ":", "-.")
# Units that the registry leaves out, where the number alone would not tell.
UNITS = {
    ("amsoftmax", "margin"): "cosine",
    ("circleloss", "margin"): "cosine",
    ("cosface", "margin"): "cosine",
    ("adaface", "margin"): "radians and cosine",
    ("adam_softmax", "initial_margin"): "cosine",
    ("adam_softmax", "max_margin"): "cosine",
    ("combined", "m3"): "cosine",
    ("magface", "l_a"): "length",
    ("magface", "u_a"): "length",
    ("mv", "margin"): "radians or cosine",
    ("sphereface", "gamma"): "per step",
    ("svx", "margin"): "radians or cosine",
    ("elastic_cosface", "margin"): "cosine",
    ("elastic_cosface", "std"): "cosine",
    ("lvface", "margin"): "cosine",
    ("lvface", "bank_margin"): "cosine",
    ("uniface", "margin"): "cosine",
    ("bce", "margin"): "cosine",
    ("sphereface2", "margin"): "cosine, radians or factor",
}
SHOWN = {
    "norm": 20.0,
    "class_margin": 0.4,
    "row_margin": 0.5,
}  # of what a curve needs besides the angle
DEPENDS = {
    "softmax": "The logit is an inner product, so it is not a function of the angle alone. The "
    "curve is for an embedding and a weight of unit length, without a bias.",
    "l2softmax": "The weights' lengths are free, so the logit is not a function of the angle "
    "alone. The curve is for a weight of unit length, without a bias.",
    "adacos": "The scale depends on the number of classes C and then on the batches. The curve is "
    "the logit with the first scale :math:`s_0`, not divided by it.",
    "adaface": "The margin depends on the embedding's length through q. The curves are for short, "
    "usual and long embeddings.",
    "magface": "The margin depends on the embedding's length. The curves are for the shortest, a "
    "medium and the longest length with the default policy. For the medium length all "
    "policies are shown.",
    "adam_softmax": "The margin is learned for each class. The curves are for three examples.",
    "bce": "The curve is the logit without the bias.",
    "elastic_arcface": "The margin is random for each sample. The curves are for its mean, and for "
    "two standard deviations less and more.",
    "elastic_cosface": "The margin is random for each sample. The curves are for its mean, and for "
    "two standard deviations less and more.",
    "lvface": "The curve is the logit to the class centre. That to the bank has the same form.",
    "sphereface2": "The curve is the logit without the bias.",
    "sphereface_r": "Version v2 does not change the target's logit. It raises those of the other "
    "classes.",
    "uniface": "The curve is the logit without the bias.",
    "sphereface": "The logit also contains the embedding's length, here 1, and lambda, which "
    "falls with the count of steps.",
}
# When to choose a loss. The accuracies are those of the papers.
ONE_RECIPE = (
    "The UniTSFace paper (`arXiv 2311.02523 <https://arxiv.org/abs/2311.02523>`__; R50, "
    "CASIA-WebFace) gives these MR-All and TAR at FAR 1e-4 of IJB-C, which are not our figures: "
)
CHOOSE = {
    "sphereface2": "For verification at low false accept rates after training on a small or medium "
    "set, and for very many classes: the processes exchange one sum per sample, and logits are not "
    "stored. " + ONE_RECIPE + "SphereFace2 44.20 and 88.41, CosFace 45.12 and 56.65, ArcFace 42.21 "
    "and 48.49. Use kind C. Set `weight` to 10 for small networks. For identification among many "
    "classes a softmax is safer.",
    "uniface": "For verification with one threshold for all people, and for very many classes, as "
    ":ref:`sphereface2 <loss-sphereface2>`. It has fewer parameters. For R50 and CASIA-WebFace its "
    "authors' repository gives 48.42 MR-All, and its paper 88.65 to 88.96 on IJB-C (TAR at FAR "
    "1e-4). CosFace has 45.12 and 56.65 in the UniTSFace paper. These are not our figures.",
    "bce": "For a comparison with :ref:`uniface <loss-uniface>`, which is the better default. Each "
    "class has its own bias, and therefore its own threshold. Verification has one threshold for "
    "all classes.",
    "sphereface_r": "v0 and v1 have a margin that multiplies the angle, without SphereFace's "
    "annealing. v2 moves the other classes away instead of the own class nearer. It needs an "
    "arccos for every class. " + ONE_RECIPE + "v1 39.92 and 86.35, CosFace 45.12 and 56.65. With N "
    "and S the length of the embedding is used; S limits it.",
    "elastic_arcface": "If :ref:`arcface <loss-arcface>` trains well, and the classes differ in "
    "their spread, so that one margin for all samples is too rigid. It needs no additional time. "
    "Start with ``order`` random. The published figures of plus are for another order than the one "
    "in the paper (see the notes).",
    "lvface": "For vision transformers and very large sets, if :ref:`cosface <loss-cosface>` with "
    "sampled classes trains well and you want to continue from there. It needs an embedding of "
    "each class, which takes half as much memory as centres and momentum, and with ``form`` "
    "bank two more matrix products, where CosFace has three. The paper gives the MR-All of ViT-L "
    "on WebFace42M, not our figures: 97.27 without stages, and 97.52, 98.22 and 98.49 after the "
    "first, the second and the third. TAR at FAR 1e-4 on IJB-C of ViT-B on Glint360K: 97.70. "
    "CosFace has 97.28. Most of the gain comes from the second stage. We have not trained it.",
    "elastic_cosface": "As :ref:`elastic_arcface <loss-elastic_arcface>`, but based on "
    ":ref:`cosface <loss-cosface>`. Its slope is the same at all angles, so it is more robust.",
    "auxiliary/uss": "For verification after training on a small or medium set, beside "
    ":ref:`cosface <loss-cosface>` or :ref:`uniface <loss-uniface>`. " + ONE_RECIPE + "CosFace and "
    "USS 50.28 and 89.84, CosFace alone 45.12 and 56.65, USS alone 42.55 and 83.92. It needs an "
    "embedding of each class and two more matrix products. We have not trained it.",
}


def pages():
    """Return {file name: reST} of the losses' pages and of the comparison."""
    made = {"losses_compared.inc": _compared()}
    for folder, registry in _registries().items():
        for name in registry.list():
            made[f"losses/{folder}{name}.rst"] = _page(folder, name, registry)
    return made


def _registries():
    from gluonface.loss import LOSSES
    from gluonface.loss.auxiliary import AUXILIARY

    return {"": LOSSES, "auxiliary/": AUXILIARY}


# --- pages -------------------------------------------------------------------------------------


def _page(folder, name, registry):
    cls = registry.get(name)
    doc, title = _sections(cls), cls.title or name
    idea, formula = doc[""].split("\n\n", 1)
    label = f"loss-{folder.replace('/', '-')}{name}"
    parts = [f".. _{label}:\n", _heading(title, "="), idea + "\n", _usage(folder, cls, registry)]
    if f"{folder}{name}" in CHOOSE:
        parts += [_heading("When to choose it", "-"), CHOOSE[f"{folder}{name}"] + "\n"]
    parts += [_heading("Formula", "-"), formula + "\n"]
    if not folder:
        parts += [_heading("Logit of the target", "-"), _figure(name, cls)]
    parts += [_heading("Parameters", "-"), _parameters(cls)]
    if "Notes" in doc:
        parts += [_heading("Notes", "-"), doc["Notes"] + "\n"]
    parts += [_heading("Citation", "-"), _citation(cls)]
    return "\n".join(parts)


def _heading(text, underline):
    return f"{text}\n{underline * len(text)}\n"


def _sections(cls):
    """Return {heading: text} of a class's docstring; what precedes the first heading at ""."""
    found, heading = {"": []}, ""
    lines = inspect.getdoc(cls).split("\n")
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if line and below and set(below) == {"-"}:
            heading = line
            found[heading] = []
        elif not (line and set(line) == {"-"}):
            found[heading].append(line)
    return {key: "\n".join(text).strip() for key, text in found.items()}


def _usage(folder, cls, registry):
    name, other = cls.name, registry.aliases(cls.name)
    if not folder:
        lines = [f'   gf.get_loss("{name}")  # in a recipe: loss: {name}']
    elif cls.kind == "logits":
        lines = [f'   get_auxiliary("{name}")  # in a recipe: loss: [arcface, {{{name}: 0.1}}]']
    else:
        first = next(iter(cls.parameters))
        value = cls.parameters[first].default
        lines = [
            f'   get_auxiliary("{name}")  # in a recipe: loss: [arcface, {{{name}: {{{first}: '
            f"{value:g}}}}}]"
        ]
    text = ".. code-block:: python\n\n" + "\n".join(lines) + "\n\n"
    path = f"{cls.__module__}.{cls.__name__}"
    text += f"Class: :class:`~{path}`."
    if other:
        text += f" Also known as {', '.join(f'``{alias}``' for alias in other)}."
    if not folder:
        text += f" Family: {cls.family}; extra exchange (:doc:`/losses_pages`): "
        text += f"{_exchange(cls())}."
    return text + "\n"


def _exchange(margin):
    """Return in words what sharding costs beyond what the softmax itself needs."""
    needs = []
    if margin.uses_bank:
        needs.append("three numbers")
    if margin.family == "binary":
        needs.append("the loss in place of the softmax")
        if margin.has_shared_bias:
            needs.append("one gradient")
    if margin.shares_target:
        needs.append("targets' cosines")
    if margin.uses_norm:
        needs.append("lengths")
    if "log_sum" in margin.statistics:
        needs.append("one sum")
    if margin.has_class_margin:
        needs.append("the mean margin")
    return ", ".join(needs) or "nothing"


def _parameters(cls):
    if not cls.parameters:
        return "None.\n"
    rows = [
        [
            _generate.literal(name),
            "(empty)" if one.default is None else _generate.literal(one.default),
            one.unit or UNITS.get((cls.name, name), "none"),
            one.allowed,
            one.meaning,
        ]
        for name, one in cls.parameters.items()
    ]
    return _generate.list_table(
        ["Name", "Default", "Unit", "Allowed", "Meaning"], rows, "names", [14, 12, 10, 22, 42]
    )


def _citation(cls):
    def link(match):
        return _generate.link(f"https://arxiv.org/abs/{match[1]}")

    return re.sub(r"arXiv (\d{4}\.\d{5})", link, cls.reference()) + "\n"


def _figure(name, cls):
    lines = [DEPENDS[name] + "\n"] if name in DEPENDS else []
    if "policy" in cls.parameters:
        lines.append(
            "Policies differ if the angle with its margin exceeds 180 degrees, ``easy`` from 90 "
            "degrees on.\n"
        )
    what = f"Logit of the target of {cls.title} over the angle"
    for theme in THEMES:
        lines += [
            f".. image:: /_generated/losses/{name}-{theme}.svg",
            f"   :class: only-{theme}",
            f"   :alt: {what}\n",
        ]
    changes = ("circleloss", "li_arcface", "qamface", "sphereface2")
    if cls.family == "hard-negative" or name in changes:
        lines.append("The other classes' logits change as well; see the formula.\n")
    return "\n".join(lines)


# --- the comparison ----------------------------------------------------------------------------


def _compared():
    parts = []
    for folder, registry in _registries().items():
        rows = []
        for name in registry.list():
            cls = registry.get(name)
            entry, key = cls.describe(), f"{folder}{name}"
            values = ", ".join(
                f"{one['name']} {_number(one['default'])}"
                for one in entry["parameters"]
                if one["default"] is not None and not isinstance(one["default"], bool)
            )
            figure, source = LFW[key]
            about = [
                f":ref:`{name} <loss-{folder.replace('/', '-')}{name}>`",
                values,
            ]
            about[1:1] = [cls.kind] if folder else [cls.family, _exchange(cls())]
            rows.append([*about, figure, source])
        if folder:
            headings, widths = ["Takes"], [14, 12, 32, 9, 33]
        else:
            headings, widths = ["Family", "Extra exchange"], [15, 13, 14, 24, 8, 26]
        headings = ["Name", *headings, "Values", "LFW, %", "Source"]
        parts += [
            _heading("Auxiliary losses" if folder else "Margin losses", "-"),
            _generate.list_table(headings, rows, "explore", widths),
        ]
    return "\n".join(parts)


def _number(value):
    return value if isinstance(value, str) or value is None else f"{value:g}"


# --- curves ------------------------------------------------------------------------------------


def draw_all(folder):
    """Draw each margin's target logit below `folder`, once for each theme; return the paths."""
    import matplotlib

    matplotlib.use("Agg")
    folder = pathlib.Path(folder) / "losses"
    folder.mkdir(parents=True, exist_ok=True)
    ink, grid = THEMES["light"]
    names = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")
    style = {
        **dict.fromkeys(names, ink),
        "axes.edgecolor": grid,
        "grid.color": grid,
        "svg.hashsalt": "gluonface",  # the same file for the same figure
        "svg.fonttype": "none",
    }
    paths = []
    with matplotlib.rc_context(style):
        for name in _registries()[""].list():
            drawing = _draw(name)
            for theme, colours in THEMES.items():
                # The themes differ in two colours, so a figure is drawn once.
                text = drawing.replace(ink, colours[0]).replace(grid, colours[1])
                paths.append(folder / f"{name}-{theme}.svg")
                paths[-1].write_text(text, encoding="utf-8")
    return paths


def _draw(name):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.8), layout="constrained")
    for number, (label, values) in enumerate(_curves(name)):
        plain = label.startswith("no margin")
        axes.plot(
            np.degrees(THETA),
            values,
            STYLES[number % 4],
            color="#999999" if plain else COLOURS[number % 6],
            label=label,
            lw=1.0 if plain else 1.6,
        )
    axes.set_xlabel("angle between embedding and its class centre (degrees)")
    axes.set_ylabel("logit of the target" + ("" if name == "adacos" else " / s"))
    axes.set_xlim(0, 180)
    axes.set_xticks(range(0, 181, 30))
    axes.grid(True, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    pyplot.close(figure)
    return file.getvalue()


def _curves(name):
    """Yield (label, logits / s) of a loss: one for each policy, kind, norm... that matters."""
    from gluonface.loss import get_loss

    cls = type(get_loss(name))
    if name == "adacos":
        for classes in (1000, 10_000, 100_000):
            yield f"C = {classes:,}", _curve(get_loss(name), classes=classes)
        return
    if name == "adaface":
        for norm, words in ((10.0, "short, q = -1"), (20.0, "usual, q = 0"), (30.0, "long, q = 1")):
            yield words, _curve(get_loss(name), norm=norm, mean=20.0, std=10.0 * 0.333)
    elif name == "magface":
        for norm in (10.0, 60.0, 110.0):
            yield f"length {norm:g}", _curve(get_loss(name), norm=norm)
    elif name == "adam_softmax":
        for margin in (0.2, 0.4, 0.6):
            yield f"m = {margin:g}", _curve(get_loss(name), class_margin=margin)
    elif name == "sphereface":
        for step in (0, 1000, 100_000):
            label = f"step {step:,}"
            yield label, _curve(get_loss(name, radius="fixed"), step=float(step))
        whole = get_loss(name, radius="fixed", base=0.0, lambda_min=0.0)
        yield "full margin, lambda = 0", _curve(whole)
    elif name.startswith("elastic"):
        bare = get_loss(name)
        for margin in (-2, 0, 2):
            value = bare.margin + margin * bare.usual["random"]
            yield f"m = {value:g}", _curve(bare, row_margin=value)
    elif name == "sphereface_r":
        for version in ("v0", "v1", "v2"):
            yield f"version={version!r}", _curve(get_loss(name, version=version))
    elif "policy" not in cls.parameters:
        yield _values(get_loss(name)), _curve(get_loss(name))
    if "policy" in cls.parameters:
        more = {"norm": 60.0} if name == "magface" else {}
        for policy in cls.parameters["policy"].choices:
            if policy != "auto":  # one of the others
                yield f"policy={policy!r}", _curve(get_loss(name, policy=policy), **more)
    for kind in getattr(cls.parameters.get("kind"), "choices", ()):
        if kind != cls.parameters["kind"].default:
            yield f"kind={kind!r}", _curve(get_loss(name, kind=kind))
    bare = get_loss(name, radius="fixed") if name == "sphereface" else get_loss(name)
    without = _curve(bare, strength=0.0)
    if np.abs(without - _curve(bare)).max() > 1e-6:
        yield "no margin (strength 0)", without


def _values(margin):
    values = [f"{key}={_number(getattr(margin, key))}" for key in margin.parameters]
    unused = ("scale", "weight", "alpha", "gradient")
    values = [value for value in values if not value.startswith(unused) and "None" not in value]
    return ", ".join(values) or "cosine"


def _curve(margin, strength=1.0, classes=1000, **given):
    from gluonface._compat import mx

    nd = mx.nd
    margin.prepare(classes)
    values = {**SHOWN, **margin.state, **given}
    cosine = nd.array(np.cos(THETA), dtype="float32")
    inputs = {key: nd.full(cosine.shape, values[key]) for key in margin.target_inputs}
    return margin.target(nd, cosine, nd.full(cosine.shape, strength), **inputs).asnumpy()
