"""Sections of the augmentations and samplers, from their registries, each with a picture.

The pictures are of synthetic faces (`gluonface.data.synthetic`), changed as the loader does it.
"""

import inspect
import pathlib

import _generate  # which imports this module: look names up when they are needed
import numpy as np

__all__ = ["draw_all", "pages"]

COLUMNS = 8
GAP = 4
# What is shown where the defaults would show too little, or nothing half of the time.
SHOWN = {
    "color_jitter": {"hue": 0.05},
    "rand_augment": {"ops": "all", "m": 15},
    "mixup": {"alpha": 1.0},
}
ORDER = (
    "flip",
    "color_jitter",
    "random_grey",
    "gaussian_blur",
    "jpeg",
    "low_resolution",
    "rand_augment",
    "random_erasing",
    "cutout",
    "mixup",
    "cutmix",
)


def pages():
    """Return {file name: reST} of the fragments."""
    from gluonface.data.augment import AUGMENTATIONS
    from gluonface.data.samplers import SAMPLERS

    if set(ORDER) != set(AUGMENTATIONS.list()):
        raise ValueError(f"docs/_augmentation.py: put into ORDER what is in {AUGMENTATIONS.list()}")
    return {
        "augmentations.inc": "\n".join(map(_augmentation, ORDER)),
        "samplers.inc": "\n".join(map(_sampler, SAMPLERS.list())),
    }


def _augmentation(name):
    from gluonface.data.augment import AUGMENTATIONS

    kind = AUGMENTATIONS.get(name)
    aliases = ", ".join(map(_generate.literal, AUGMENTATIONS.aliases(name)))
    paper = (
        f" Paper: {_generate.link(f'https://arxiv.org/abs/{kind.paper}')}." if kind.paper else ""
    )
    return "\n".join(
        [
            f".. _augmentation-{name}:\n",
            kind.title,
            "~" * len(kind.title) + "\n",
            f"{_generate.literal(name)}{f' ({aliases})' if aliases else ''}.{paper}\n",
            inspect.getdoc(kind) + "\n",
            f".. image:: /_generated/augmentation/{name}.png",
            f"   :alt: A made-up face and seven of it after {name}",
            "   :class: augmentation\n",
            _caption(kind),
            _table(kind),
        ]
    )


def _caption(kind):
    op = _shown(kind)
    changed = [f"``{key}: {getattr(op, key)}``" for key in SHOWN.get(kind.name, {})]
    shown = f" Drawn with {', '.join(changed)}." if changed else ""
    if kind.mixes:
        return f"Two faces, and six mixtures of them.{shown}\n"
    return f"Left, the image as it is; then samples 1 to 7.{shown}\n"


def _shown(kind):
    params = dict(SHOWN.get(kind.name, {}))
    if kind.name != "flip":
        params["p"] = 1.0
    return kind(**params)


def _sampler(name):
    from gluonface.data.samplers import SAMPLERS

    kind = SAMPLERS.get(name)
    aliases = ", ".join(map(_generate.literal, SAMPLERS.aliases(name)))
    text = inspect.getdoc(kind)
    title = _generate.literal(name) + (f" ({aliases})" if aliases else "")
    body = "\n".join(f"   {line}".rstrip() for line in text.split("\n"))
    table = _table(kind)
    body += "\n\n" + "\n".join(f"   {line}".rstrip() for line in table.split("\n")) if table else ""
    return f"{title}\n{body}\n"


def _table(kind):
    rows = []
    for name, entry in kind.parameters.items():
        unit = f" {entry.unit}" if entry.unit else ""
        default = "none" if entry.default is None else entry.default
        default = round(default, 4) if isinstance(default, float) else default
        rows.append(
            [_generate.literal(name), _generate.literal(default), entry.allowed + unit, entry.doc]
        )
    headings = ["Parameter", "Default", "Allowed", "Meaning"]
    return _generate.list_table(headings, rows, "names", [18, 12, 32, 38]) if rows else ""


def draw_all(folder):
    """Draw a strip of faces for each augmentation; return the paths."""
    from gluonface.data import images
    from gluonface.data.augment import AUGMENTATIONS
    from gluonface.data.synthetic.face_set import draw_face

    face, other = draw_face(3, 9, 0), draw_face(3, 4, 1)
    paths = []
    for name in ORDER:
        path = pathlib.Path(folder) / "augmentation" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = images.encode(_strip(_shown(AUGMENTATIONS.get(name)), face, other), 101)
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
        paths.append(path)
    return paths


def _strip(op, face, other):
    from gluonface.data.augment import Pipeline

    pipeline = Pipeline([op])
    if op.mixes:
        count = COLUMNS - 2
        own, second = (np.stack([x.transpose(2, 0, 1)] * count).copy() for x in (face, other))
        mixed, _ = pipeline.mix(own, second, 0, 0, np.arange(1, count + 1))
        row = [face, other, *mixed.transpose(0, 2, 3, 1)]
    else:
        row = [face, *(pipeline.image(face, sample=k) for k in range(1, COLUMNS))]
    side = face.shape[0]
    strip = np.full((side, COLUMNS * (side + GAP) - GAP, 3), 255, np.uint8)
    for place, image in enumerate(row):
        strip[:, place * (side + GAP) :][:, :side] = image
    return strip
