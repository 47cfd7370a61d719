"""Formulas as MathML, which docutils writes at build time: no CDN, no LaTeX, no JavaScript."""

import inspect

from docutils.utils.math.latex2mathml import tex2mathml

__all__ = ["setup"]

# docutils renamed the argument for a displayed formula between releases.
_BLOCK = {"as_block": True} if "as_block" in inspect.signature(tex2mathml).parameters else None


def _mathml(tex, block):
    if not block:
        return tex2mathml(tex)
    return tex2mathml(tex, **(_BLOCK or {"inline": False}))


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
