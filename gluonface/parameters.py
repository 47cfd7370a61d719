"""Parameters of losses and augmentations: declared once, checked, listed in the docs."""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
import textwrap
import types
import typing

from .errors import InputError

__all__ = ["Declared", "Parameter", "declare"]


class Parameter:
    """One parameter: its default in the paper, its range, and the reason for the range.

    Parameters
    ----------
    default : float, int, str, bool or None
        The paper's value where it gives one, else ours. A bool allows nothing but bools.
    doc : str
        What it does, in one line.
    unit : str, default ""
        For example ``"radians"``.
    more : str, default ""
        Sentences that follow `doc` in docstrings and pages.
    above, low, high : float, optional
        The allowed range: greater than `above`, at least `low`, at most `high`.
    choices : tuple, optional
        The allowed values; excludes a range.
    whole : bool, default False
        Whether only whole numbers are allowed.
    why : str, default ""
        Why values outside are refused.
    """

    def __init__(
        self,
        default: typing.Any,
        doc: str,
        unit: str = "",
        more: str = "",
        *,
        above: float | None = None,
        low: float | None = None,
        high: float | None = None,
        choices: tuple = (),
        whole: bool = False,
        why: str = "",
    ):
        self.default, self.doc, self.unit, self.more = default, doc, unit, more
        self.choices = (True, False) if isinstance(default, bool) else choices
        self.above, self.low, self.high = above, low, high
        self.whole, self.why = whole, why

    @property
    def allowed(self) -> str:
        """Allowed values in words."""
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        bounds = {"above": self.above, "at least": self.low, "at most": self.high}
        form = "" if self.whole else "g"  # "g" would write 4294967295 as 4.29497e+09
        limits = [f"{word} {bound:{form}}" for word, bound in bounds.items() if bound is not None]
        words = " and ".join(limits) or "any number"
        if self.whole:
            words = f"a whole number {words}"
        return f"{words}, or none" if self.default is None else words

    @property
    def meaning(self) -> str:
        """`doc` and `more` as sentences."""
        return self._sentences()

    def _sentences(self, limits=""):
        first = f"{self.doc}, {limits}" if limits else self.doc
        return f"{first[:1].upper()}{first[1:]}. {self.more}".strip()

    def numpydoc(self, name: str) -> str:
        """Return the entry of a docstring's section of parameters."""
        kind, limits = "int" if self.whole else "float", f"{self.allowed} {self.unit}".strip()
        if self.choices:
            listed = ", ".join(map(_literal, self.choices))
            kind, limits = "bool" if isinstance(self.default, bool) else f"{{{listed}}}", ""
        default = "optional" if self.default is None else f"default {_literal(self.default)}"
        text = textwrap.wrap(self._sentences(limits), 92)
        return "\n    ".join([f"{name} : {kind}, {default}", *text])

    def check(self, owner: str, name: str, value: typing.Any) -> typing.Any:
        """Return `value` in its proper type, or raise `InputError` saying what is allowed."""
        if self.choices:
            if value in self.choices and isinstance(value, type(self.default)):
                return value
        elif value is None and self.default is None:
            return None
        elif _is_finite_number(value):
            value = float(value)
            if (
                (self.above is None or value > self.above)
                and (self.low is None or value >= self.low)
                and (self.high is None or value <= self.high)
                and (not self.whole or value == int(value))
            ):
                return int(value) if self.whole else value
        allowed = "true or false" if isinstance(self.default, bool) else self.allowed
        if not self.choices and not _is_finite_number(value):
            allowed = f"a finite number, {allowed}"
        unit = f" {self.unit}" if self.unit else ""
        why = f": {self.why}" if self.why else ""
        raise InputError(
            f"{owner}: {name}={value!r} is not allowed; it must be {allowed}{unit}{why}. "
            f"The default is {self.default!r}."
        )


def _literal(value):
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _is_finite_number(value):
    """Return whether `value` is a real number, neither a truth value nor infinite nor nan."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value)


def declare(**parameters: typing.Any) -> types.MappingProxyType[str, typing.Any]:
    """Return a read-only table of parameters in the order of the signature, or of a state."""
    return types.MappingProxyType(parameters)


class Declared:
    """Template: a class with a `name` and a table of `parameters`, which are checked attributes.

    Parameters
    ----------
    **params
        Values; the table's defaults where left out.
    """

    name = ""
    parameters = declare()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__signature__ = inspect.Signature(
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=entry.default)
                for name, entry in cls.parameters.items()
            ]
        )

    def __init__(self, **params):
        for name in params:
            if name not in self.parameters:
                near = difflib.get_close_matches(name, self.parameters, n=1)
                hint = f"Did you mean {near[0]!r}? " if near else ""
                raise InputError(
                    f"{self.name} has no parameter {name!r}. {hint}"
                    f"Known: {', '.join(self.parameters) or 'none'}."
                )
        for name, entry in self.parameters.items():
            setattr(self, name, params.get(name, entry.default))

    def __setattr__(self, name, value):
        entry = self.parameters.get(name)
        if entry is not None:
            value = entry.check(self.name, name, value)
        object.__setattr__(self, name, value)

    def __repr__(self):
        params = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.parameters)
        return f"{type(self).__name__}({params})"
