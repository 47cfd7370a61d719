"""The Chinese pages say what the English ones say today: see docs/translate.py."""

import pathlib
import re
from collections import Counter

import pytest
from doc_pages import ROOT, generator

pytest.importorskip("sphinx", reason="needs the extra: pip install 'gluonface[docs]'")

MARKUP = re.compile(r"``.+?``|(?<=:)`[^`<]+`|<[\w:/.+-]+>", re.S)


@pytest.fixture(scope="module")
def translate():
    return generator("translate")


def messages(translate):
    for page in translate.PAGES:
        for message in translate._read(translate._place(page)):
            if message.id:
                yield page, message


def test_nothing_is_missing_and_nothing_is_of_an_older_text(translate):
    """After a change of a page: `python docs/translate.py update`, and translate what it lists."""
    assert translate.missing() == {}


def test_a_translation_keeps_code_and_links(translate):
    count = 0
    for page, message in messages(translate):
        # A reference without words of its own may get some: :ref:`native` and :ref:`算子 <native>`.
        wanted, found = (
            Counter(part.strip("<>") if part[:2] != "``" else part for part in parts)
            for parts in (
                (re.sub(r"(?<=:)`([^`<]+)`", r"<\1>", text) for text in MARKUP.findall(one))
                for one in (_targets(message.id), _targets(message.string))
            )
        )
        assert found == wanted, f"{page}: {message.id}"
        count += bool(re.search("[\u4e00-\u9fff]", message.string))
    assert count > 400


def _targets(text):
    """Return a text whose roles name their target alone: :doc:`words <x>` as :doc:`x`."""
    return re.sub(r":(\w+):`[^`<]+<([^`>]+)>`", r":\1:`\2`", text)


def test_new_changed_and_fuzzy_texts_are_listed(translate, tmp_path, monkeypatch):
    from babel.messages.catalog import Catalog

    done, wanted = Catalog(), Catalog()
    done.add("A text.", "一段文字。")
    done.add("An old text.", "旧的文字。")
    done.add("A changed text.", "旧的文字。", flags=["fuzzy"])
    done.add("An empty text.", "")
    for text in ("A text.", "A changed text.", "An empty text.", "A new text."):
        wanted.add(text)
    monkeypatch.setattr(translate, "PAGES", ("page",))
    monkeypatch.setattr(translate, "LOCALE", tmp_path)
    place = translate._place("page")
    place.parent.mkdir(parents=True)
    translate._write(place, done)
    translate._write(tmp_path / "page.pot", wanted)
    missing = ["A changed text.", "An empty text.", "A new text."]
    assert translate.missing(tmp_path) == {"page": missing}
    place.unlink()
    assert translate.missing(tmp_path) == {"page": ["A text.", *missing]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Common errors", True),
        ("``code``, or words", True),
        ("classes", True),
        ("93,431", False),
        ("``code`` :doc:`page`", False),
        ("0.9600 ± 0.0238", False),
        ("MS1MV3", False),
        ("iresnet100", False),
        ("Concat 9 %; clip 4 %", False),
        (r"0.97 \times 6000", False),
    ],
)
def test_which_texts_need_a_translation(translate, text, words):
    assert translate._is_text(text) is words


def test_the_chinese_readme_translates_the_readme_of_today(translate):
    """After a change: translate it in README.zh.rst, then `python docs/translate.py readme`."""
    english, chinese = (
        pathlib.Path(ROOT / name).read_text(encoding="utf-8")
        for name in ("README.rst", "README.zh.rst")
    )
    assert f"SHA-256 begins with {translate.readme_digest()}." in chinese
    codes = [re.sub(r" +#.*", "", text) for text in (english, chinese)]
    lines = [[line for line in text.split("\n") if re.match(r" {4}\S", line)] for text in codes]
    assert lines[0] == lines[1]
    accuracies = [re.findall(r"\d\.\d{4} ± \d\.\d{4}", text) for text in (english, chinese)]
    assert accuracies[0] == accuracies[1]
    assert len(accuracies[0]) == 6
