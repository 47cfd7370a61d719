"""What a SOURCE of a model is: the one resolver. `opened` reads what was found.

====================================  ==========================================================
SOURCE                                files
====================================  ==========================================================
a run folder                          its ``export/``, else ``checkpoints/best`` or ``last``
``x``, an exported prefix             ``x-symbol.json`` with ``x-0000.params`` or the latest epoch
``x,12``                              ``x-symbol.json`` with ``x-0012.params``
``x-symbol.json``, ``x-0012.params``  the other file of the prefix as well
a folder                              that holds one ``x-symbol.json``
``FILE.onnx``
``NAME:FILE``                         weights of the backbone NAME: ``.params``, ``.onnx``,
                                      ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors``
``FILE``                              the same where the backbone is known: `load_weights`,
                                      ``gluonface import``, ``gluonface train --init``
``NAME:untrained``                    random weights, as a baseline
====================================  ==========================================================
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re

from ..errors import DataError, InputError, shown, shown_text
from ..model_zoo import MAX_EMBEDDING
from ..model_zoo._batch_norm import FORM, check_batch_norms
from .content import read_bytes

__all__ = [
    "CHECKPOINT",
    "FORMATS",
    "ONNX",
    "PARAMETERS",
    "PYTORCH",
    "SAFETENSORS",
    "UNTRAINED",
    "Source",
    "absolute_source",
    "find_backbone",
    "find_source",
]

UNTRAINED = "untrained"
# The formats as model cards call them: a checkpoint is parameters with a symbol.
CHECKPOINT, PARAMETERS, ONNX = "MXNet checkpoint", "parameters", "ONNX"
PYTORCH, SAFETENSORS = "PyTorch state dict", "safetensors"
# By the end of a file's name.
FORMATS = {
    ".params": PARAMETERS,
    ".onnx": ONNX,
    **dict.fromkeys((".pth", ".pt", ".ckpt"), PYTORCH),
    ".safetensors": SAFETENSORS,
}
EXPECTED = (
    "A model is: a run folder, an exported prefix (x for x-symbol.json + x-0000.params, x,12 for "
    f"epoch 12), a .onnx file, NAME:FILE.params (or another file: {', '.join([*FORMATS][1:])}), or "
    f"NAME:{UNTRAINED}"
)
SYMBOL = "-symbol.json"
EPOCH_FILE = re.compile(r"(?P<prefix>.+)-(?P<epoch>\d{4,})\.params$")
EPOCH = re.compile(r"(?P<prefix>.*[^,\s]),\s*(?P<epoch>\d{1,9})$")
MODEL_NAME = re.compile(r"[\w.-]{1,100}")
NAMED = re.compile(r"(?P<name>[\w.-]{2,}):(?P<file>.+)$")


@dataclasses.dataclass(frozen=True)
class Source:
    """The files of a source, found but not opened.

    Attributes
    ----------
    params : pathlib.Path or None
        The file with the weights, in any format; None if they are random.
    symbol : pathlib.Path or None
        The graph of an MXNet checkpoint.
    name : str or None
        The backbone of the zoo that the weights are for, where the source says it.
    options : dict
        What else `get_model` must be told.
    text : str
        The source as it was named, for messages.
    """

    params: pathlib.Path | None
    symbol: pathlib.Path | None = None
    name: str | None = None
    options: dict = dataclasses.field(default_factory=dict)
    text: str = ""

    def __str__(self) -> str:
        return self.text or str(self.params or f"{self.name}:{UNTRAINED}")

    @property
    def format(self) -> str | None:
        """The format as model cards call it; None for random weights."""
        if self.symbol is not None:
            return CHECKPOINT
        return None if self.params is None else FORMATS[self.params.suffix]

    @property
    def role(self) -> str:
        """What the model card calls the file with the weights."""
        if self.format != ONNX:
            return "params"
        return next((r for r in ("int8", "fp16") if self.stem.endswith(f".{r}")), "onnx")

    @property
    def card(self) -> pathlib.Path | None:
        """The path of the model card. There need not be one."""
        if self.params is None:
            return None
        stem = self.stem  # one for all of an export
        if self.role in ("int8", "fp16"):
            stem = stem[: -len(f".{self.role}")]
        return self.params.with_name(f"{stem}.json")

    @property
    def stem(self) -> str:
        """The files' name without its ending: ``x`` of a prefix ``x``. "" without files."""
        if self.symbol is not None:
            return self.symbol.name[: -len(SYMBOL)]
        return "" if self.params is None else self.params.stem


def find_source(source: str | os.PathLike) -> Source:
    """Find the files of a model. The table of this module says what a source is.

    Parameters
    ----------
    source : str or pathlib.Path

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If nothing is there, the message lists what was looked for; or if there are several models.
    """
    return dataclasses.replace(_find(source), text=str(source))


def find_backbone(source: str | os.PathLike) -> Source:
    """Find the files of a model as `find_source` does, but of a run folder the checkpoint.

    A checkpoint names its backbone. The export of the same run, a graph, does not.

    Raises
    ------
    InputError
        As `find_source` does, or if the run folder has no checkpoint.
    """
    folder = pathlib.Path(source).expanduser()
    if not (folder / "config.yaml").is_file():
        return find_source(source)
    found = _checkpoint(folder, folder / "export" / f"model{SYMBOL}")
    return dataclasses.replace(found, text=str(source))


def absolute_source(source: str) -> str:
    """Return the text of a source that names the same files from any folder."""
    named = NAMED.match(source)
    if named is None or os.path.exists(source):
        return os.path.abspath(os.path.expanduser(source))
    if named["file"] == UNTRAINED:
        return source
    return f"{named['name']}:{os.path.abspath(os.path.expanduser(named['file']))}"


def _find(source):
    text = str(source)
    if not text.strip():
        raise InputError(f"no model is named. {EXPECTED}")
    path = pathlib.Path(text).expanduser()
    epoch, named = EPOCH.match(text), NAMED.match(text)
    if epoch and not path.exists():
        path = pathlib.Path(f"{epoch['prefix']}-{int(epoch['epoch']):04d}.params").expanduser()
    if path.is_dir():
        return _in_folder(path)
    if named and not path.exists():
        if named["file"] == UNTRAINED:
            return Source(None, name=named["name"])
        file = pathlib.Path(named["file"]).expanduser()
        _require_file(file, f" (in the model {text!r})")
        if file.suffix not in FORMATS:
            raise InputError(
                f"{file} (in the model {text!r}) is not a file of weights; expected a name that "
                f"ends in {', '.join(FORMATS)}"
            )
        return dataclasses.replace(_file(file), name=named["name"])
    return _file(path) if path.suffix in FORMATS else _prefix(path)


def _require_file(path, where=""):
    """Raise InputError unless this is a file."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file of weights{where}")
    if not path.is_file():
        raise InputError(f"there is no file {path}{where}")


def _file(path):
    """Return the Source of a file of weights."""
    _require_file(path)
    symbol = None
    if path.suffix == ".params":
        match = EPOCH_FILE.match(path.name)
        symbol = path.with_name(f"{match['prefix'] if match else path.stem}{SYMBOL}")
    return Source(path, symbol if symbol and symbol.is_file() else None)


def _prefix(path):
    """Return the Source of a prefix, or of the symbol file's name."""
    name = path.name[: -len(SYMBOL)] if path.name.endswith(SYMBOL) else path.name
    symbol, params = path.with_name(f"{name}{SYMBOL}"), path.with_name(f"{name}-0000.params")
    if not params.is_file() and path.parent.is_dir():
        matches = [(EPOCH_FILE.match(file.name), file) for file in path.parent.iterdir()]
        epochs = [(int(m["epoch"]), file) for m, file in matches if m and m["prefix"] == name]
        params = max(epochs, default=(0, params))[1]  # training scripts write one file an epoch
    missing = [str(file) for file in (symbol, params) if not file.is_file()]
    if missing:
        raise InputError(f"no model at {path}: there is no {' and no '.join(missing)}. {EXPECTED}.")
    return Source(params, symbol)


def _in_folder(folder):
    """Return the Source of a run folder, or of a folder with one exported model."""
    config, export = folder / "config.yaml", folder / "export"
    is_run = config.is_file() or export.is_dir()
    place = export if is_run else folder
    symbols = sorted(place.glob(f"*{SYMBOL}"))
    usual = export / f"model{SYMBOL}"
    if is_run and usual in symbols:
        symbols = [usual]
    if len(symbols) > 1:
        names = [symbol.name for symbol in symbols]
        raise InputError(
            f"{place} holds several models: {', '.join(names)}. "
            f"Name one, like {place / names[0][: -len(SYMBOL)]}."
        )
    if symbols:
        return _prefix(symbols[0])
    if config.is_file():
        return _checkpoint(folder, usual)
    if is_run:
        raise InputError(f"there is no {export}/*{SYMBOL} in {folder}")
    files = sorted(file.name for file in folder.iterdir() if file.suffix in FORMATS)
    hint = f" (there is {', '.join(files[:6])})" if files else ""
    raise InputError(
        f"{folder} is no run folder (no config.yaml, no export/) and holds no *{SYMBOL}; "
        f"name a prefix or a file of weights{hint}"
    )


def _checkpoint(folder, export):
    """Return the Source of the backbone of an unfinished run."""
    import yaml

    path = folder / "config.yaml"
    content = read_bytes(path)
    try:
        config = yaml.safe_load(content.decode("utf-8"))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} is no configuration of a run: {shown_text(reason)}; restore it"
        ) from None
    model = config.get("model") if isinstance(config, dict) else None
    if isinstance(model, str):
        model = {"name": model}
    name = model.get("name") if isinstance(model, dict) else None
    if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
        raise DataError(f"{path} does not say model.name, the name of a backbone")
    size = model.get("embedding_size")
    if size is not None and (type(size) is not int or not 1 <= size <= MAX_EMBEDDING):
        raise DataError(
            f"{path} has model.embedding_size {shown(size)}; expected a whole number from 1 to "
            f"{MAX_EMBEDDING}"
        )
    norms = model.get("batch_norm")
    if norms is not None and not check_batch_norms(norms):
        raise DataError(f"{path} has model.batch_norm {shown(norms)}; expected {FORM}")
    places = [folder / "checkpoints" / which for which in ("best", "last")]
    files = [f for p in places for f in (p / "backbone.params", p.with_suffix(".params"))]
    for file in files:
        if file.is_file():
            options = {} if size is None else {"embedding_size": size}
            if norms:
                options["batch_norm"] = norms
            return Source(file, name=name, options=options)
    raise InputError(
        f"the run folder {folder} holds no model yet; looked for "
        + ", ".join(str(file.relative_to(folder)) for file in (export, *files))
    )
