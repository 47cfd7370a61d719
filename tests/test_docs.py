"""What README, CHANGELOG and the pages of docs/ say must be true of the package."""

import ast
import dataclasses
import functools
import importlib.util
import os
import re
import subprocess
import sys

import pytest
from doc_pages import DOCS, ROOT, blocks, commands, generator

TEXTS = [
    *(ROOT / name for name in ("README.rst", "README.zh.rst", "CHANGELOG.rst", "CONTRIBUTING.rst")),
    *sorted(DOCS.glob("*.rst")),
    *sorted((DOCS / "results").glob("*.rst")),
]
PAGES_WITH_ERRORS = [
    path for path in TEXTS if "\nCommon errors\n" in path.read_text(encoding="utf-8")
]
# Directives and roles that Sphinx adds to reST; docutils alone does not know them.
SPHINX = re.compile(r"^\.\. (toctree|include|image|literalinclude)::|:(doc|class|func|ref):`", re.M)


def ids(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


# --- reST ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["README.rst", "README.zh.rst", "CHANGELOG.rst", "CONTRIBUTING.rst"]
)
def test_rest_that_other_sites_show_needs_no_sphinx(name):
    docutils = pytest.importorskip("docutils.core", reason="needs the extra docs")
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not SPHINX.search(text), "PyPI and GitHub do not run Sphinx"
    # halt_level 2: a warning raises
    docutils.publish_doctree(text, settings_overrides={"report_level": 2, "halt_level": 2})


def test_the_long_description_of_a_wheel_has_no_links_into_a_checkout():
    docutils = pytest.importorskip("docutils.core", reason="needs the extra docs")
    spec = importlib.util.spec_from_file_location("_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    readme = (ROOT / "README.rst").read_text(encoding="utf-8")
    relative = re.compile(r"<(?!https?://)[\w./-]+>`_")
    assert relative.search(readme)
    for address in (None, "https://example.org/blob/main/"):
        text = module.long_description(readme, address)
        assert not relative.search(text)
        docutils.publish_doctree(text, settings_overrides={"report_level": 2, "halt_level": 2})
        linked = "<https://example.org/blob/main/docs/export.rst>`_" in text
        assert linked == (address is not None)
    assert "quick start (``docs/quickstart.rst``)" in module.long_description(readme)
    assert module.project_urls() == {}
    for address in ("https://example.org/x", "https://example.org/x/"):
        urls = module.project_urls(address)
        assert urls["Issues"] == "https://example.org/x/issues"
        for name in ("Documentation", "Changelog"):
            file = urls[name].removeprefix("https://example.org/x/blob/main/")
            assert (ROOT / file).is_file()


# --- Python -------------------------------------------------------------------------------------

PYTHON = [
    pytest.param(path, code, id=f"{path.relative_to(ROOT)}:{line}")
    for path in TEXTS
    for line, _, code in blocks(path, "python")
]


@pytest.mark.parametrize(("path", "code"), PYTHON)
def test_python_examples_are_python_and_import_what_exists(path, code):
    compile(code, str(path), "exec")
    ours = [line for line in code.split("\n") if re.match(r"(from|import) gluonface\b", line)]
    exec("\n".join(ours), {})


def test_the_example_of_adding_a_backbone_runs(tmp_path):
    """In a process of its own: a name that is registered stays so."""
    file, *steps = [code for _, _, code in blocks(DOCS / "add_a_backbone.rst", "python")]
    assert file.startswith("# tinyface.py")
    (tmp_path / "tinyface.py").write_text(file, encoding="utf-8")
    (tmp_path / "steps.py").write_text("\n".join(steps), encoding="utf-8")
    paths = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "steps.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/tinyface-0000.params").is_file()


@pytest.mark.parametrize("name", ["model_zoo.rst", "losses.rst"])
def test_python_examples_run(name):
    """The examples of a page run one after the other, as a reader would type them."""
    names = {}
    for _, kind, code in blocks(DOCS / name, "python"):
        if kind != "no-run":
            exec(compile(code, name, "exec"), names)
    assert "gf" in names


def test_the_embedding_example_of_the_readme_runs(tmp_path):
    """The README's example on an exported model of random weights."""
    numpy = pytest.importorskip("numpy")
    from gluonface.deploy import export_model
    from gluonface.model_zoo import get_model

    export_model(get_model("mobilefacenet"), tmp_path / "model")
    _, _, code = blocks(ROOT / "README.rst", "python")[0]
    code = code.replace("runs/quickstart", str(tmp_path / "model"))
    names = {"images": numpy.zeros((2, 112, 112, 3), numpy.uint8)}
    exec(code, names)
    assert names["emb"].shape == (2, 128)
    numpy.testing.assert_allclose(names["similarity"], 1.0, atol=1e-5)  # two equal images


# --- commands -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parsers():
    return generator().command_parsers()


@pytest.mark.parametrize("path", TEXTS, ids=ids(TEXTS))
def test_commands_and_their_options_exist(path, parsers):
    for words in commands(path):
        if words[0].startswith("-") or words[0] == "COMMAND":
            continue
        name = words[0]
        if any(known.startswith(f"{name} ") for known in parsers):
            if len(words) == 1 or words[1] in ("--help", "..."):
                continue
            name = f"{words[0]} {words[1]}"
        assert name in parsers, f"there is no `gluonface {name}`"
        known = parsers[name]._option_string_actions
        for word in words[1:]:
            option = word.split("=")[0]
            if re.match(r"--[a-z]", option):
                assert option in known, f"`gluonface {name}` has no {option}"


def test_the_settings_that_pages_name_exist():
    from gluonface.training import Config

    sections = {
        name: vars(Config)["__dataclass_fields__"][name].type for name in Config.__annotations__
    }
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        for section, key in re.findall(r"(?:``|--set )([a-z_]+)\.([a-z_]+)(?:``|=)", text):
            kind = sections.get(section)
            if dataclasses.is_dataclass(kind) and key not in ("rec", "idx", "log"):
                known = {field.name for field in dataclasses.fields(kind)}
                assert key in known, f"{path.name} names {section}.{key}"


@pytest.mark.parametrize("path", TEXTS, ids=ids(TEXTS))
def test_modules_that_pages_run_exist(path):
    for name in re.findall(r"python -m (gluonface[\w.]*)", path.read_text(encoding="utf-8")):
        assert importlib.util.find_spec(name), f"{path.name} runs {name}, which is not there"


@functools.cache
def messages():
    """Return the texts of the package and of its scripts, values left out."""
    scripts = [*(ROOT / "scripts").glob("*.sh"), *(ROOT / "gluonface/parallel").glob("*.sh")]
    texts = [path.read_text(encoding="utf-8") for path in scripts]
    for path in sorted((ROOT / "gluonface").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts.append("".join(str(p.value) for p in parts if isinstance(p, ast.Constant)))
    return "\n".join(texts)


COMMON = re.compile(r"^Common errors\n-+\n(.*?)(?=^\S.*\n[=~-]+$|\Z)", re.M | re.S)


@pytest.mark.parametrize("path", PAGES_WITH_ERRORS, ids=ids(PAGES_WITH_ERRORS))
def test_the_messages_that_a_page_explains_are_real(path):
    table = COMMON.search(path.read_text(encoding="utf-8"))[1]
    rows = re.findall(r"^   \* - (.*(?:\n       .*)*)\n     - ", table, re.M)[1:]
    assert rows
    for message in (found for row in rows for found in re.findall(r"``(.+?)``", row, re.S)):
        for part in re.split(r"\d+\.\d+(?:\.\d+)?", " ".join(message.split())):  # versions
            assert part.strip(" .") in messages(), f"no error of ours says {message!r}"


# --- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEXTS, ids=ids(TEXTS))
def test_paths_into_the_project_exist(path):
    text = re.sub(r"https?://\S+", "", path.read_text(encoding="utf-8"))
    named = set(
        re.findall(r"(?:^|[\s`./])((?:scripts|docs|tests|gluonface)/[\w./-]*\w)", text, re.M)
    )
    named |= set(re.findall(r"`[^`<]+ <([\w./-]+)>`_", text))
    for name in named:
        if not name.startswith(("docs/_build", "docs/_generated")):
            assert (ROOT / name).exists(), f"{path.name} names {name}, which is not there"


# --- generated pages ----------------------------------------------------------------------------


def test_tables_are_generated_from_the_registries(tmp_path):
    from gluonface.loss import list_losses
    from gluonface.model_zoo import BACKBONES
    from gluonface.training import list_recipes

    module = generator()
    zoo = "".join(module.zoo_table().values())
    losses, recipes = module.loss_table(), module.recipes()
    for name in BACKBONES.list():
        assert f"``{name}``" in zoo
        assert f"{BACKBONES.get(name)[0].params:,}" in zoo
    for name in list_losses():
        assert f"``{name}``" in losses
    for name in list_recipes():
        assert f"recipes/{name}.yaml" in recipes
    config = module.config_tables()
    assert "``optimizer.lr``" in config
    assert "``margin_warmup.start``" in config


def test_the_command_prints_the_table_of_the_zoo_page(capsys):
    from gluonface.cli import main

    def plain(cell):
        cell = re.sub(r"`([^`<]+?) <[^>]+>`__", r"\1", cell.replace("``", ""))  # links, names
        return cell.replace("\\*", "*")

    cells = [line[6:].strip() for line in generator().zoo_table()["zoo.inc"].split("\n")[5:]]
    width = cells.index("Paper") + 1
    page = [[plain(c) for c in cells[i : i + width]] for i in range(0, len(cells) - 1, width)]
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    # Names to the left, numbers to the right: a column ends where its heading does.
    ends = [lines[0].index(heading) + len(heading) for heading in page[0][1:-1]]
    starts = [lines[0].index(heading) for heading in ("Paper", "Also known as")]
    name_ends = max(len(row[0]) for row in page)
    places = [(0, name_ends), *zip([name_ends, *ends], ends), tuple(starts)]
    printed = [[line[begin:end].strip() for begin, end in places] for line in lines]
    assert len(printed) >= 81  # other tests of the same process may register a backbone
    assert printed == page


def test_reports_of_the_checks_of_backbones():
    """`python docs/measure.py checks` reads pytest's reports; the table has a row for most."""
    from xml.etree import ElementTree

    from gluonface.model_zoo import list_models

    module = generator("_checks")
    properties = {
        **{"gradients": 9, "hybrid batch 3": 1e-7, "hybrid batch 1": 2e-7, "ONNX batch 1": 0.0},
        "static gradients, of the tolerance": 0.25,
    }
    entries = "".join(f'<property name="{k}" value="{v}"/>' for k, v in properties.items())
    report = f"""<testsuites><testsuite>
      <testcase name="test_a[mbf]"><properties>{entries}</properties></testcase>
      <testcase name="test_b[mbf]"><failure/></testcase>
      <testcase name="test_c[mbf]"><skipped/></testcase>
    </testsuite></testsuites>"""
    cells = module._cells(ElementTree.fromstring(report))
    text = "1 passed; test_b: failure; test_c: skipped"
    assert cells == [text, "9", "2.0e-07", "", "", "2.5e-01", "", "", "0"]
    rows = module.read(DOCS / "results" / "zoo_checks.csv")
    assert set(rows) <= set(list_models())
    assert {row[1] for row in rows.values()} == {"11 passed"}


def test_figures_of_the_readme_are_those_of_the_pages():
    """Run `python docs/measure.py readme` when this fails after a new measurement."""
    assert generator("measure").readme_table() in (ROOT / "README.rst").read_text(encoding="utf-8")


def test_every_command_has_its_help_page(parsers):
    from gluonface import cli

    assert {name.split()[0] for name in parsers} == set(cli.COMMANDS)
    text = generator().command_help()
    for name in parsers:
        assert f"gluonface {name}\n" in text
        assert f"usage: gluonface {name} " in text


def test_the_citation_has_the_version_of_the_package():
    import gluonface

    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", text, re.M)[1] == gluonface.__version__
