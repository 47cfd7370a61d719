"""The configuration of a run: one tree of checked options, and where it comes from."""

from .config import Config, config_from_dict, config_to_dict
from .recipes import list_recipes, load_config, save_config

__all__ = [
    "Config",
    "config_from_dict",
    "config_to_dict",
    "list_recipes",
    "load_config",
    "save_config",
]
