"""Sphinx configuration. docs/build.sh builds the site and turns warnings into errors."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # _generate.py
sys.path.insert(0, str(HERE.parent))

import _generate  # noqa: E402

import gluonface  # noqa: E402

project = "gluonface"
copyright = "the gluonface authors"  # noqa: A001  (Sphinx's name)
release = gluonface.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"gluonface {release}"
html_static_path = ["_static"]
copybutton_prompt_text = "$ "
nitpicky = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False

# Tables that come from the registries and from --help are written before Sphinx reads the pages.
_generate.write_all(HERE / "_generated")
