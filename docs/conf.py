"""Sphinx configuration. docs/build.sh builds the site, with warnings as errors."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # _generate.py, _mathml.py
sys.path.insert(0, str(HERE.parent))

import _generate  # noqa: E402
import translate  # noqa: E402
from docutils import nodes  # noqa: E402
from sphinx.domains.python import PyXRefRole  # noqa: E402

import gluonface  # noqa: E402

project = "gluonface"
copyright = "the gluonface authors"
release = gluonface.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "_mathml",
]
exclude_patterns = ["_build", "results"]
templates_path = ["_templates"]
nitpicky = False
default_role = "name"  # registered by setup below
smartquotes = False  # it makes one dash of the two of an option such as --run

html_theme = "furo"
html_title = f"gluonface {release}"
html_static_path = ["_static"]
html_extra_path = ["_generated/site"]  # the example of a report
html_css_files = ["gluonface.css"]
html_js_files = ["tables.js"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = "$ "

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True  # show the name of a default value, not its repr
# The list of a page's headings has the modules, not each of their names: with them every page takes
# twice as long to write, since each has the list of all pages.
toc_object_entries = False
autosummary_generate = False  # _generate.py lists the names; autosummary makes only the tables
napoleon_google_docstring = False
napoleon_use_rtype = False
# Attributes are a list. As objects they would appear again beside the members of the same name.
napoleon_custom_sections = [(name, "params_style") for name in ("Attributes", "Inputs", "Outputs")]

# A switch of the language stands above the list of pages.
html_context = {"translated": translate.PAGES}
html_sidebars = {
    "**": [
        *(f"sidebar/{name}.html" for name in ("brand", "search", "language", "scroll-start")),
        *(f"sidebar/{name}.html" for name in ("navigation", "scroll-end", "variant-selector")),
    ]
}
locale_dirs = ["locale"]
gettext_compact = False

if tags.has("translated"):  # noqa: F821  Sphinx gives the name to this file
    # The pages that have a translation, and no others: docs/build.sh, docs/translate.py. What they
    # say of another page leads to the English one.
    others = {path.stem for path in HERE.glob("*.rst")} - set(translate.PAGES)
    exclude_patterns += ["_generated/**.rst", *(f"{name}.rst" for name in sorted(others))]
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {"english": ("..", str(HERE / "_build" / "html" / "objects.inv"))}
    intersphinx_disabled_reftypes = []
    suppress_warnings = ["toc.excluded"]
    _generate.write_fragments(HERE / "_generated")
else:
    # The tables of registries, configuration and --help are written anew before Sphinx reads them.
    _generate.write_all(HERE / "_generated")


def _name_role(role, rawtext, text, lineno, inliner, options=None, content=None):
    """Return a link for `name` in a docstring if it is an identifier, otherwise plain code."""
    if all(part.isidentifier() for part in text.strip("~").split(".")):
        return PyXRefRole()("py:obj", rawtext, text, lineno, inliner, options or {}, content or [])
    return [nodes.literal(rawtext, text)], []


def _skip(app, what, name, value, skip, options):
    """Leave out the fields of named tuples: their class describes them."""
    return True if "Alias for field number" in (getattr(value, "__doc__", None) or "") else None


def _no_mail(app, doctree):
    """Turn links of docutils to mail addresses into text: it takes TAR@0.1 for an address."""
    for link in list(doctree.findall(nodes.reference)):
        if link.get("refuri", "").startswith("mailto:"):
            link.replace_self(nodes.Text(link.astext()))


def setup(app):
    """Register the default role and the two event handlers above."""
    app.add_role("name", _name_role)
    app.connect("doctree-read", _no_mail)
    app.connect("autodoc-skip-member", _skip)
