"""The sources of a configuration: recipe < file < command line.

A recipe or a file is YAML with the sections of `Config` and, optionally, ``extends: NAME`` (a
recipe, or a path relative to the file), whose values it inherits. ``--set section.key=value``
comes last.
"""

import copy
import difflib
import pathlib
from collections.abc import Iterable
from typing import Any, Optional, Union

import yaml

from ...errors import InputError
from ...files import atomic_write, parse_yaml
from .config import Config, config_from_dict, config_to_dict, with_loss_section
from .options import number

__all__ = [
    "config_text",
    "list_recipes",
    "load_config",
    "parse_override",
    "read_recipe",
    "save_config",
]

RECIPES = pathlib.Path(__file__).resolve().parents[2] / "recipes"


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_recipe(source: Any) -> dict:
    """Return the tree of a recipe name or a YAML file, with all that it `extends` filled in.

    Raises
    ------
    InputError
        If there is none, it is not a YAML mapping, or it extends itself.
    """
    return _read_chain(_find(source, pathlib.Path()), ())


def load_config(
    recipe: Optional[str] = None,
    file: Union[str, pathlib.Path, None] = None,
    overrides: Iterable[tuple[str, Any]] = (),
) -> Config:
    """Return the `Config` of recipe < file < overrides.

    Parameters
    ----------
    recipe : str, optional
        Name of a recipe of the package, or a path to a YAML file.
    file : str or pathlib.Path, optional
        A YAML file over the recipe.
    overrides : iterable of (str, object)
        Dotted keys and their values, as `parse_override` returns them.
    """
    tree: dict = {}
    if recipe is not None:
        _merge(tree, read_recipe(recipe))
        tree["recipe"] = str(recipe)
    if file is not None:
        _merge(tree, read_recipe(file))
    written = copy.deepcopy(tree)
    for key, value in overrides:
        _assign(tree, key, value)
    try:
        return config_from_dict(tree)
    except InputError:
        if file is not None:
            _name_file(written, file)
        raise


def _name_file(tree, file):
    """Raise the error of a configuration with the name of its file."""
    try:
        config_from_dict(tree)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def parse_override(text: str) -> tuple[str, Any]:
    """Return (key, value) of ``section.key=value``; the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text!r} is not KEY=VALUE, for example optimizer.lr=0.1")
    return key.strip(), number(parse_yaml(value, f"--set {text!r}: the value"))


def config_text(config: Config) -> str:
    """Return a `Config` as YAML."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False, default_flow_style=False)


def save_config(config: Config, path: pathlib.Path) -> None:
    """Write a `Config` as YAML, whole or not at all."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        file.write(config_text(config))


def _find(source, folder):
    path = pathlib.Path(source)
    for candidate in (folder / path, RECIPES / f"{source}.yaml"):
        if candidate.suffix in (".yaml", ".yml") and candidate.is_file():
            return candidate
    names = list_recipes()
    near = difflib.get_close_matches(str(source), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(
        f"there is no recipe or YAML file {str(source)!r}.{hint} Recipes: {', '.join(names)}."
    )


def _read_chain(path, seen):
    if path.resolve() in seen:
        raise InputError(f"{path} extends itself, by way of {seen[-1]}")
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"), path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise InputError(f"{path} holds a {type(tree).__name__}, expected sections with keys")
    tree = with_loss_section(tree)
    base = {}
    if tree.get("extends") is not None:
        base = _read_chain(_find(tree["extends"], path.parent), (*seen, path.resolve()))
    tree.pop("extends", None)
    _merge(base, tree)
    return base


def _merge(base, over):
    """Update `base` by `over`, section by section. Lists are replaced."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value


def _assign(tree, key, value):
    value = with_loss_section({key: value})[key] if key == "loss" else value
    *sections, last = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise InputError(f"{key!r}: {section!r} is a value, not a section")
    tree[last] = value
