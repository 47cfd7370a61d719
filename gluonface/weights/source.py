"""Find out what a SOURCE of a model is, and read it."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import re

from ..errors import DataError, InputError
from ..files import require_content
from .card import read_card
from .mxnet_params import epoch_file

__all__ = ["Source", "find_source", "load_net", "read_prefix"]

logger = logging.getLogger(__name__)

FORMS = (
    "A model is: a run folder, an exported prefix (x for x-symbol.json + x-0000.params), "
    "a .onnx file, NAME:FILE.params, or NAME:untrained"
)
UNTRAINED = "untrained"
EPOCH_FILE = re.compile(r"(?P<prefix>.+)-(?P<epoch>\d{4,})\.params$")


@dataclasses.dataclass
class Source:
    """What was found.

    Attributes
    ----------
    kind : {"symbol", "onnx", "zoo"}
    path : pathlib.Path or None
        The symbol file, the ONNX file, or the params file of a zoo model; None if untrained.
    params : pathlib.Path or None
    name : str or None
        The zoo's name, for ``zoo``.
    options : dict
        What else `get_model` must be told, for ``zoo``.
    card : dict or None
    """

    kind: str
    path: pathlib.Path | None
    params: pathlib.Path | None = None
    name: str | None = None
    options: dict = dataclasses.field(default_factory=dict)
    card: dict | None = None


def find_source(source):
    """Find the files of a model and look whether something is in them.

    Parameters
    ----------
    source : str or pathlib.Path
        A run folder, an exported prefix or one of its files, a ``.onnx`` file,
        ``NAME:FILE.params`` (or any file that `gluonface import` reads), or ``NAME:untrained`` for
        random weights as a baseline.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If nothing is there; the message lists what was looked for.
    DataError
        If a file is empty, a pointer of Git LFS or a web page.
    """
    found = _find(source)
    for path in (found.path, found.params):
        if path is not None:
            require_content(path)
    return found


def _find(source):
    text = epoch_file(source)
    if not text.strip():
        raise InputError(f"no model is named. {FORMS}")
    path = pathlib.Path(text).expanduser()
    if path.is_dir():
        return _run_folder(path)
    named = re.match(r"(?P<name>[\w.-]{2,}):(?P<file>.+)$", text)
    if path.suffix == ".onnx" and (path.is_file() or not named):
        if not path.is_file():
            raise InputError(f"there is no file {path}")
        plain = path.name[: -len(".onnx")]
        plain = plain[: -len(".int8")] if plain.endswith(".int8") else plain  # one card for both
        return Source("onnx", path, card=read_card(path.with_name(f"{plain}.json")))
    if named and named["file"] == UNTRAINED:
        return Source("zoo", None, name=named["name"])
    if named and not path.exists():
        file = pathlib.Path(named["file"]).expanduser()
        if not file.is_file():
            raise InputError(f"there is no file {file} (in the model {text!r})")
        return Source("zoo", file, params=file, name=named["name"])
    return _prefix(path)


def _prefix(path):
    """Find the symbol and the params of a prefix, or of either file's name."""
    name, epoch = path.name, None
    match = EPOCH_FILE.match(name)
    if match:
        name, epoch = match["prefix"], match["epoch"]
    elif name.endswith("-symbol.json"):
        name = name[: -len("-symbol.json")]
    elif name.endswith(".params"):
        raise InputError(
            f"{path} holds weights alone; say which model they are for: NAME:{path}, "
            "with a NAME of `gluonface models`"
        )
    symbol = path.with_name(f"{name}-symbol.json")
    if epoch is not None:
        params = path
    else:
        params = path.with_name(f"{name}-0000.params")
        if not params.is_file():
            # Training scripts write one file an epoch; the last is meant.
            found = sorted(
                (int(m["epoch"]), file)
                for file in (path.parent.iterdir() if path.parent.is_dir() else ())
                for m in [EPOCH_FILE.match(file.name)]
                if m and m["prefix"] == name
            )
            params = found[-1][1] if found else params
    missing = [str(file) for file in (symbol, params) if not file.is_file()]
    if missing:
        raise InputError(f"no model at {path}: there is no {' and no '.join(missing)}. {FORMS}.")
    return Source("symbol", symbol, params, card=read_card(path.with_name(f"{name}.json")))


def _run_folder(folder):
    """Find the export of a training run, or else its best checkpoint."""
    if (folder / "config.yaml").is_file() or (folder / "export").is_dir():
        export = folder / "export"
        tried = [export / "model-symbol.json"]
        symbols = tried if tried[0].is_file() else sorted(export.glob("*-symbol.json"))
        if len(symbols) > 1:
            raise InputError(
                f"{export} holds several models: {', '.join(s.name for s in symbols)}. Name one."
            )
        if symbols:
            return _prefix(symbols[0])
        if (folder / "config.yaml").is_file():
            return _checkpoint(folder, tried)
        raise InputError(f"there is no {export}/*-symbol.json in {folder}")
    symbols = sorted(folder.glob("*-symbol.json"))
    if len(symbols) == 1:
        return _prefix(symbols[0])
    if symbols:
        raise InputError(
            f"{folder} holds several models: {', '.join(s.name for s in symbols)}. "
            f"Name one, like {symbols[0].with_name(symbols[0].name[: -len('-symbol.json')])}."
        )
    raise InputError(f"{folder} is no run folder (no config.yaml, no export/) and holds no model")


def _checkpoint(folder, tried):
    """Find the backbone of an unfinished run."""
    import yaml

    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    model = config.get("model") if isinstance(config, dict) else None
    if isinstance(model, str):
        model = {"name": model}
    if not isinstance(model, dict) or "name" not in model:
        raise DataError(f"{folder / 'config.yaml'} does not say model.name")
    for which in ("best", "last"):
        place = folder / "checkpoints" / which
        for file in (place / "backbone.params", place.with_suffix(".params")):
            tried.append(file)
            if file.is_file():
                options = {
                    key: model[key] for key in ("embedding_size",) if model.get(key) is not None
                }
                return Source("zoo", file, file, model["name"], options)
    raise InputError(
        f"the run folder {folder} holds no model yet; looked for "
        + ", ".join(str(file.relative_to(folder)) for file in tried)
    )


def load_net(source):
    """Build the network of a Source of the kind ``zoo`` and fill it.

    The embedding size is that of the weights unless the source says it, and the preprocessing
    that of their model card, or of the project whose file it is.

    Returns
    -------
    Backbone

    Raises
    ------
    InputError
        For a name that is not in the zoo.
    DataError
        If a tensor is missing, extra or misshapen; it is named.
    """
    from .. import model_zoo
    from .._compat import mx
    from .load import load_weights, source_embedding_size, source_pixels

    if source.params is None:
        mx.random.seed(0)  # the same random weights every time
        logger.warning("%s has random weights: a baseline, not a model", source.name)
        return model_zoo.get_model(source.name, **source.options)
    options = dict(source.options)
    model_zoo.BACKBONES.resolve(source.name)  # a wrong name before a wrong file
    options = {**source_pixels(source.params)[0], **options}
    if "embedding_size" not in options:
        options["embedding_size"] = source_embedding_size(source.params)
    net = model_zoo.get_model(source.name, **options)
    load_weights(net, source.params)
    return net


def read_prefix(source):
    """Read the symbol and the parameters of a Source of the kind ``symbol``.

    Returns
    -------
    symbol : mx.sym.Symbol
        Cut at ``fc1_output`` when something follows it, as in a training checkpoint.
    arrays : dict of str to numpy.ndarray
    """
    from .._compat import mx
    from .mxnet_params import read_params

    try:
        symbol = mx.sym.load_json(source.path.read_text(encoding="utf-8"))
    except (mx.MXNetError, UnicodeDecodeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["unreadable"])[-1]
        raise DataError(f"{source.path} is not an MXNet symbol: {reason}") from None
    outputs = symbol.list_outputs()
    internals = symbol.get_internals()
    if outputs != ["fc1_output"] and "fc1_output" in internals.list_outputs():
        symbol = internals["fc1_output"]
    elif len(outputs) != 1:
        raise DataError(f"{source.path} has the outputs {outputs} and none named 'fc1_output'")
    return symbol, read_params(source.params)
