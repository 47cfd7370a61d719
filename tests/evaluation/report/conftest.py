"""A reader of report pages, and results to report."""

import html.parser

import numpy as np
import pytest

from gluonface.evaluation.protocols import ifrt


class Page(html.parser.HTMLParser):
    """The tables, plots, images and text of a page, and what it would load from elsewhere."""

    def __init__(self, path):
        super().__init__()
        self.tables, self.plots, self.images, self.links = [], [], [], []
        self.text, self.open = "", []
        self.raw = path.read_text(encoding="utf-8")
        self.feed(self.raw)
        assert self.open == []  # every element is closed

    @property
    def sources(self):
        return [source for _, source in self.images]

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "img":
            assert attributes["alt"]
            self.images.append((attributes["alt"], attributes["src"]))
        if attributes.get("role") == "img":
            self.plots.append(attributes["aria-label"])
        self.links += [attributes[key] for key in ("href", "srcset") if key in attributes]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        elif not self.open or self.open[-1] != "style":
            self.text += data

    def table(self, *begin):
        """Return the rows of the one table with a row of headings that begins so, from it on."""
        (found,) = [t[i:] for t in self.tables for i in (0, 1) if t[i : i + 1]
                    and t[i][: len(begin)] == list(begin)]  # fmt: skip
        return found


@pytest.fixture(scope="session")
def read_page():
    return Page


def made_groups(draws=0):
    random = np.random.RandomState(0)
    identity = np.repeat(np.arange(30), 4)
    features = random.randn(30, 16)[identity] + 0.8 * random.randn(120, 16)
    group = np.where(identity < 15, "a <b>", "c")
    return ifrt.evaluate(features, identity, group, fars=(1e-3, 1e-2), draws=draws)


@pytest.fixture(scope="session")
def groups():
    """Return the maker of the result of a made set with two groups."""
    return made_groups
