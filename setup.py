"""The project is described in pyproject.toml; the long description is made of the README here."""

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


if __name__ == "__main__":
    setup(
        long_description=long_description((HERE / "README.rst").read_text(encoding="utf-8")),
        long_description_content_type="text/x-rst",
    )
