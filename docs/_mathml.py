"""Formulas as MathML, which docutils writes at build time: no CDN, no LaTeX, no JavaScript."""

import inspect
import re

from docutils.utils.math.latex2mathml import tex2mathml

__all__ = ["setup"]

# docutils renamed the argument for a displayed formula between releases.
_BLOCK = {"as_block": True} if "as_block" in inspect.signature(tex2mathml).parameters else None


# Chromium sets no space around the name of a function: "m sin m" would be "msinm".
_SPACE = '<mspace width="0.17em"/>'
_NAMES = r"<mi>(?:sin|cos|arccos|exp|log|max|min)</mi>"


def _mathml(tex, block):
    options = (_BLOCK or {"inline": False}) if block else {}
    text = tex2mathml(tex, **options)
    text = re.sub(rf"(</m(?:i|n|sub|sup|subsup|frac)>\s*)({_NAMES})", rf"\1{_SPACE}\2", text)
    return re.sub(r"(<mo>&ApplyFunction;</mo>\s*)(?=<m[ins])", rf"\1{_SPACE}", text)


def _visit_inline(self, node):
    from docutils.nodes import SkipNode

    self.body.append(_mathml(node.astext(), False))
    raise SkipNode


def _visit_block(self, node):
    from docutils.nodes import SkipNode

    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(_mathml(node.astext(), True))
    self.body.append("</div>\n")
    raise SkipNode


def setup(app):
    """Register the renderer under the name of `html_math_renderer` in conf.py."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
