"""Keep the Chinese pages in step with the English ones.

    python docs/translate.py            # list what has no translation, or one of an older text
    python docs/translate.py update     # write the new texts into docs/locale, by sphinx-intl
    python docs/translate.py readme     # README.zh.rst translates the README.rst of now

`update` keeps every translation whose English text stands. A text that is like an earlier one gets
that translation, marked "fuzzy"; a new one gets an empty ``msgstr``. Edit the files in
docs/locale/zh_CN/LC_MESSAGES: fill in what is empty, correct what is fuzzy and delete its line
``#, fuzzy``. docs/build.sh builds both languages.
"""

import argparse
import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile

__all__ = ["LANGUAGE", "PAGES", "missing", "readme_digest", "templates"]

DOCS = pathlib.Path(__file__).resolve().parent
LANGUAGE = "zh_CN"
LOCALE = DOCS / "locale"
README, README_ZH = DOCS.parent / "README.rst", DOCS.parent / "README.zh.rst"
PAGES = (
    "index",
    "install",
    "quickstart",
    "prepare",
    "training",
    "partial_fc",
    "flip",
    "export",
    "import",
    "model_zoo",
)
# Tables of names and numbers from the registries. They are the same in each language.
UNTRANSLATED = ("zoo.inc", "zoo_notes.inc", "zoo_published.inc")
# What is no text: code, roles, links, formulas, numbers with their units, and names.
CODE = re.compile(r"``.*?``|:[\w:]+:`.*?`|`[^`]*`_+|https?://\S+", re.S)
FORMULA = re.compile(r"\\frac|\\times")
SHARES = re.compile(r"(?:\w+ \d+ %(?:; |$))+$")  # of operators: "Concat 9 %; clip 4 %"
WORD = re.compile(r"[A-Za-z]{2,}")
NAME = re.compile(
    r".*[\d_].*|.*[A-Z].*[A-Z].*|sgd|nag|adamw|none|sum|concat|passed|cavaface|Debian|[x%]"
)
BACKBONES = (DOCS.parent / "gluonface" / "model_zoo" / "speed.csv").read_text(encoding="utf-8")


def templates(folder):
    """Write ``PAGE.pot`` with the texts of each page into `folder`, by Sphinx."""
    folder = pathlib.Path(folder)
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            *(sys.executable, "-m", "sphinx", "-q", "-E", "-b", "gettext", "-t", "translated"),
            *("-d", f"{scratch}/doctrees", str(DOCS), f"{scratch}/pot"),
        ]
        subprocess.run(command, check=True)
        folder.mkdir(parents=True, exist_ok=True)
        for page in PAGES:
            _write(folder / f"{page}.pot", _texts(pathlib.Path(scratch, "pot", f"{page}.pot")))


def _texts(path):
    """Return the catalogue of the texts in a .pot that have to be translated."""
    from babel.messages.catalog import Catalog

    found = Catalog(project="gluonface", charset="utf-8", fuzzy=False)
    for message in _read(path):
        files = {pathlib.Path(name).name for name, _ in message.locations}
        if message.id and not files <= set(UNTRANSLATED) and _is_text(message.id):
            found.add(message.id)
    return found


def _is_text(text):
    if FORMULA.search(text) or SHARES.match(text) or f"\n{text}," in BACKBONES:
        return False
    words = re.split(r"[\s,;:/()×±~]+", CODE.sub(" ", text).strip())
    return any(WORD.search(word) and not NAME.fullmatch(word.strip(".")) for word in words)


def _read(path):
    from babel.messages.pofile import read_po

    with open(path, "rb") as file:
        return read_po(file)


def _write(path, catalog):
    from babel.messages.pofile import write_po

    with open(path, "wb") as file:
        write_po(file, catalog, width=0, omit_header=True)


def update():
    """Bring docs/locale up to date, by sphinx-intl."""
    with tempfile.TemporaryDirectory() as scratch:
        templates(scratch)
        subprocess.run(
            [
                *("sphinx-intl", "update", "-p", scratch, "-d", str(LOCALE), "-l", LANGUAGE),
                *("-w", "0", "--no-obsolete"),
            ],
            check=True,
        )
    for page in PAGES:  # without dates and addresses, which would differ each time
        path = _place(page)
        catalog = _read(path)
        catalog.locale = catalog.locale or LANGUAGE
        for message in catalog:
            message.locations = []
        _write(path, catalog)


def _place(page):
    return LOCALE / LANGUAGE / "LC_MESSAGES" / f"{page}.po"


def missing(folder=None):
    """Return {page: texts} of the texts without a valid translation.

    Parameters
    ----------
    folder : path, optional
        Where `templates` has written; by default they are made.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as scratch:
            templates(scratch)
            return missing(scratch)
    found = {}
    for page in PAGES:
        wanted = [
            message.id for message in _read(pathlib.Path(folder) / f"{page}.pot") if message.id
        ]
        held = _read(_place(page)) if _place(page).is_file() else []
        done = {m.id for m in held if m.id and m.string and not m.fuzzy}
        found[page] = [text for text in wanted if text not in done]
    return {page: texts for page, texts in found.items() if texts}


def readme_digest():
    """Return the digest of README.rst that README.zh.rst names when it translates it."""
    return hashlib.sha256(README.read_bytes()).hexdigest()[:16]


def mark_readme():
    """Write the digest of README.rst into README.zh.rst."""
    text = README_ZH.read_text(encoding="utf-8")
    line = f".. Translates the README.rst whose SHA-256 begins with {readme_digest()}."
    text, count = re.subn(r"^\.\. Translates the README\.rst whose .*$", line, text, flags=re.M)
    if count != 1:
        sys.exit(f"{README_ZH} has {count} lines that name the README.rst it translates, not 1")
    README_ZH.write_text(text, encoding="utf-8")


def main():
    """Run the command line; the exit status is 1 when something is not translated."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("check", "update", "readme"), default="check")
    what = parser.parse_args().what
    if what == "readme":
        mark_readme()
        return 0
    if what == "update":
        update()
    found = missing()
    for page, texts in found.items():
        sys.stdout.write("".join(f"{page}: {text}\n" for text in texts))
    if readme_digest() not in README_ZH.read_text(encoding="utf-8"):
        sys.stdout.write("README.zh.rst translates another README.rst: see its first line\n")
        return 1
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
