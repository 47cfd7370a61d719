"""What margin losses and auxiliary ones share: declared parameters, and where they come from."""

from __future__ import annotations

import inspect
import re
import textwrap
import typing

from ..parameters import Declared
from ..registry import Registry

__all__ = ["Loss", "LossRegistry"]


class LossRegistry(Registry):
    """A registry of losses. The name of a loss is the one under which it is registered."""

    def register(self, name, aliases=()):
        """Return a decorator, see `Registry.register`."""

        def decorator(cls):
            cls.name = name
            return add(cls)

        add = super().register(name, aliases)
        return decorator


class Loss(Declared):
    """Template of all losses: checked parameters, and the facts for tables and docs.

    The docstring of a loss with a `paper` is written without the sections on parameters, inputs,
    outputs and references; they are made from the attributes below and the table `parameters`.

    Attributes
    ----------
    title : str
        Its name as written in the paper.
    authors, paper, venue, arxiv : str
        Of the reference. `venue` is the year where left out.
    year : int
    further_reference : str
        Other papers, in sentences after the reference.
    family, formula_text : str
        As in the tables.
    inputs_doc, outputs_doc : str
        Entries of the docstring's sections of that name, if it is to have them.
    """

    title = ""
    authors = ""
    paper = ""
    venue = ""
    year = 0
    arxiv = ""
    further_reference = ""
    family = ""
    formula_text = ""
    inputs_doc = ""
    outputs_doc = ""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "paper" in vars(cls) and cls.__doc__ and "\nReferences\n" not in inspect.getdoc(cls):
            cls.__doc__ = cls._complete_docstring()

    @classmethod
    def _complete_docstring(cls):
        # What precedes the first heading, and the sections.
        text, *sections = re.split(r"\n\n(?=\w+\n-+\n)", inspect.getdoc(cls))
        entries = "\n".join(entry.numpydoc(name) for name, entry in cls.parameters.items())
        made = {"Parameters": entries, "Inputs": cls.inputs_doc, "Outputs": cls.outputs_doc}
        before = [_section(heading, body) for heading, body in made.items() if body]
        references = "\n".join(textwrap.wrap(cls.reference(), 96))
        return "\n\n".join([text, *before, *sections, _section("References", references)])

    @classmethod
    def reference(cls) -> str:
        """Return the paper's reference in sentences."""
        fields = (cls.paper, cls.venue or str(cls.year), f"arXiv {cls.arxiv}" if cls.arxiv else "")
        text = ", ".join(filter(None, fields)) + "."
        if cls.authors:
            text = f"{cls.authors}: {text}"
        return f"{text} {cls.further_reference}".strip()

    @classmethod
    def describe(cls) -> dict[str, typing.Any]:
        """Return the facts for tables and docs as a dict of plain values."""
        return {
            "name": cls.name,
            "title": cls.title,
            "paper": cls.paper,
            "year": cls.year,
            "arxiv": cls.arxiv,
            "family": cls.family,
            "formula": cls.formula_text,
            "parameters": [
                {
                    "name": name,
                    "default": entry.default,
                    "unit": entry.unit,
                    "allowed": entry.allowed,
                    "doc": entry.doc,
                }
                for name, entry in cls.parameters.items()
            ],
        }


def _section(heading, text):
    return f"{heading}\n{'-' * len(heading)}\n{text}"
