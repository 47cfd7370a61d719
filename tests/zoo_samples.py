"""Which of the zoo's names the default tests take, where all names would take minutes."""

import pytest

from gluonface.model_zoo import BACKBONES, list_models


def one_of_each_family(names):
    """Return the first of `names`, by the alphabet, from each file of the zoo."""
    return {
        BACKBONES.get(name)[1].__module__: name for name in sorted(names, reverse=True)
    }.values()


FIRST_OF_FAMILY = frozenset(one_of_each_family(list_models()))


def first_of_family(names=None):
    """Return parameters of pytest: all `names`, those that are not the first of a family slow."""
    names = list(names or list_models())
    quick = set(one_of_each_family(names))
    return [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in names]
