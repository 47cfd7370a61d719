"""What of the project depends on where its files are published; the rest is in pyproject.toml.

A build with ``PROJECT_ADDRESS=https://HOST/OWNER/gluonface`` has project URLs, and the links of the
README lead there. Without one the links become names of files.
"""

import os
import pathlib
import re

from setuptools import setup

HERE = pathlib.Path(__file__).parent


def long_description(text, address=None):
    """Return the README without links that work in a checkout alone.

    Parameters
    ----------
    text : str
        The README.
    address : str, optional
        Where the files of the project are on the web: links then lead there. Without one they
        become the names of the files.
    """
    if address:
        return re.sub(r"<(?!https?://)([\w./-]+)>`_", rf"<{address.rstrip('/')}/\1>`_", text)
    return re.sub(r"`([^`<]+) <(?!https?://)([\w./-]+)>`_", r"\1 (``\2``)", text)


def project_urls(address=None):
    """Return the project's pages by their names, {} without an address."""
    if not address:
        return {}
    files = f"{address.rstrip('/')}/blob/main"
    return {
        "Source": address,
        "Documentation": f"{files}/docs/index.rst",
        "Changelog": f"{files}/CHANGELOG.rst",
        "Issues": f"{address.rstrip('/')}/issues",
    }


if __name__ == "__main__":
    ADDRESS = os.environ.get("PROJECT_ADDRESS")
    README = (HERE / "README.rst").read_text(encoding="utf-8")
    setup(
        long_description=long_description(README, ADDRESS and f"{ADDRESS.rstrip('/')}/blob/main"),
        long_description_content_type="text/x-rst",
        project_urls=project_urls(ADDRESS),
    )
