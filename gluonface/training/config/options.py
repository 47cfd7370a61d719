"""Options: dataclass fields with help and range, and their checked values from a dictionary."""

import dataclasses
import difflib
import math
import typing

from ...errors import InputError

__all__ = ["number", "option", "option_names", "read_section"]

# Names of other tools and the options that they stand for.
SYNONYMS = {
    "learning_rate": "optimizer.lr",
    "weight_decay": "optimizer.wd",
    "optimizer": "optimizer.name",
    "gpus": "train.ctx",
    "device": "train.ctx",
    "max_steps": "train.steps",
    "warmup": "schedule.warmup_steps",
    "grad_clip": "optimizer.clip_norm",
    "fp16": "train.dtype",
    "amp": "train.dtype",
    "packs": "eval.packs",
    "backbone": "model.name",
    "network": "model.name",
}


def option(default, text, *, low=None, high=None, above=None, choices=None):
    """Return a dataclass field with its help text and its range (low..high, > above)."""
    metadata = {"help": text, "low": low, "high": high, "above": above, "choices": choices}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def read_section(cls, tree, prefix="", root=None):
    """Return a checked dataclass from a nested dictionary.

    Parameters
    ----------
    cls : type
        A dataclass whose fields are options or such dataclasses. With an attribute ``OPEN``, keys
        that are no field go, unchecked, into the dictionary of that name.
    tree : dict
    prefix : str
        Dotted name of this section with a dot behind, for messages.
    root : type, optional
        The dataclass of the whole tree, for suggestions.
    """
    if not isinstance(tree, dict):
        where = prefix.rstrip(".") or "the configuration"
        raise InputError(f"{where} is a section with keys, got {tree!r}")
    root = root or cls
    fields = {field.name: field for field in dataclasses.fields(cls)}
    open_field = getattr(cls, "OPEN", None)
    fields.pop(open_field, None)
    values, rest = {}, {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if key in fields:
            kind = fields[key].type
            if dataclasses.is_dataclass(kind):
                values[key] = read_section(kind, {} if value is None else value, f"{name}.", root)
            else:
                values[key] = _value(kind, fields[key].metadata, value, name)
        elif not open_field:
            raise InputError(_unknown(name, root))
        elif value is not None:  # null drops what a recipe set
            rest[key] = number(value)
    if open_field:
        values[open_field] = rest
    return cls(**values)


def number(value):
    """Return text that is a number as that number (YAML 1.1 reads 1e-4 as text), else `value`."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    return value


def option_names(cls, prefix=""):
    """Yield the dotted names of all options of a dataclass, in order."""
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(field.type):
            yield from option_names(field.type, f"{prefix}{field.name}.")
        elif field.name != getattr(cls, "OPEN", None):
            yield f"{prefix}{field.name}"


def _unknown(name, root):
    names = list(option_names(root))
    last = name.split(".")[-1]
    near = [n for n in names if n.split(".")[-1] == last]  # the right name in the wrong section
    near = near or ([SYNONYMS[last]] if last in SYNONYMS else [])
    near = near or difflib.get_close_matches(
        name, [*names, *(field.name for field in dataclasses.fields(root))], n=1, cutoff=0.7
    )
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown configuration key {name!r}.{hint} `gluonface train --dry-run` prints them all"


def _value(kind, metadata, value, name):
    """Return `value` as `kind`, or raise an InputError that says what is expected."""
    if kind is typing.Any:  # checked where it is used
        return _plain(value) if isinstance(value, dict) else number(value)
    union = typing.get_origin(kind) is typing.Union
    kinds = typing.get_args(kind) if union else (kind,)
    if value is None and type(None) in kinds:
        return None
    for each in kinds:
        if typing.get_origin(each) is dict:
            if isinstance(value, dict):
                return _plain(value)
            raise InputError(f"{name} = {value!r} is not a section ({metadata.get('help', '')})")
        if typing.get_origin(each) is list:
            (element,) = typing.get_args(each)
            one = str if element is str else (str, dict) if element is typing.Any else ()
            if isinstance(value, one):
                value = [value]
            if isinstance(value, (list, tuple)):
                return [
                    _value(element, metadata, item, f"{name}[{place}]")
                    for place, item in enumerate(value)
                ]
            continue
        converted = _convert(each, value)
        if converted is not None:
            return _in_range(converted, metadata, name)
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    wanted = " or ".join(words.get(each, "a list") for each in kinds if each is not type(None))
    raise InputError(f"{name} = {value!r} is not {wanted} ({metadata.get('help', '')})")


def _plain(tree):
    """Return a free section with its numbers as numbers and without what null drops."""
    return {
        str(key): _plain(value) if isinstance(value, dict) else number(value)
        for key, value in tree.items()
        if value is not None
    }


def _convert(kind, value):
    """Return `value` as a plain type, or None if it is none."""
    if kind in (int, float):
        value = number(value)
    if isinstance(value, bool):
        return value if kind is bool else None
    if kind is int and isinstance(value, float):
        # 1e3 is a whole number of steps; 1.0 stays a share where a share is allowed.
        return int(value) if value.is_integer() and value > 1.0 else None
    if kind is float and isinstance(value, (int, float)):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, kind) else None


def _in_range(value, metadata, name):
    choices, low, high, above = (metadata.get(k) for k in ("choices", "low", "high", "above"))
    if choices and value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"{name} = {value!r} is not one of {', '.join(choices)}.{hint}")
    if low is not None and value < low:
        raise InputError(f"{name} = {value!r} is too small, expected at least {low}")
    if above is not None and value <= above:
        raise InputError(f"{name} = {value!r} is too small, expected more than {above}")
    if high is not None and value > high:
        raise InputError(f"{name} = {value!r} is too large, expected at most {high}")
    return value
