"""Which of the zoo's names the default tests take, where all names would take minutes."""

import pytest

from gluonface.model_zoo import BACKBONES, list_models

# The first name of each file of the zoo, by the alphabet.
FIRST_OF_FAMILY = frozenset(
    {BACKBONES.get(name)[1].__module__: name for name in reversed(list_models())}.values()
)


def first_of_family(names=None):
    """Return parameters of pytest: all names, those that are not the first slow."""
    return [
        name if name in FIRST_OF_FAMILY else pytest.param(name, marks=pytest.mark.slow)
        for name in names or list_models()
    ]
