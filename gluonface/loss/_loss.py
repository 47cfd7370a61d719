"""What margin losses and auxiliary ones share: declared parameters, and where they come from."""

from ..parameters import Declared

__all__ = ["Loss"]


class Loss(Declared):
    """Template of all losses: checked parameters, and what tables and docs say of the loss."""

    title = ""  # as written in the paper
    paper = ""
    year = 0
    arxiv = ""
    family = ""
    formula_text = ""

    @classmethod
    def describe(cls):
        """Return what tables and docs say of this loss, as a dict of plain values."""
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
