"""Rules of the architecture that a reviewer would otherwise have to check by hand.

Who may import whom is checked by import-linter; its layers are in pyproject.toml.
"""

import ast
import pathlib
import re
import sys

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest requires it there

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE, TESTS = ROOT / "gluonface", ROOT / "tests"
FILES = sorted(PACKAGE.rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# --- the size of folders, the names of files ----------------------------------------------------

MOST_FILES = 15
# A file of these is a member of a registry or a command.
LARGE_PACKAGES = {"model_zoo", "loss", "loss/auxiliary", "cli"}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}

# --- files without a test file of their own -----------------------------------------------------

# Package -> the test that runs for every member of its registry. A file that registers something
# needs no test file of its own, nor does a command of `cli`.
MEMBERS = {
    "model_zoo": "model_zoo/test_every_model.py",
    "loss": "loss/test_every_loss.py",
    "loss/auxiliary": "loss/auxiliary/test_every_loss.py",
    "data/augment": "data/augment/test_augmentation.py",
    "data/catalog": "data/catalog/test_catalog.py",
    "cli": "cli/test_main.py",
}

# File -> why it has no test file of its own. `package/test_name.py` tests `package/name.py`.
ELSEWHERE = {
    "bench/profile.py": "`docs/measure.py profiles` runs it; MXNet's profiler takes minutes",
    "data/sources/tables/table_source.py": "test_arrow_files.py, test_parquet.py: their base class",
    "data/sources/image_files.py": "test_source.py: the base class of folders and list files",
    **dict.fromkeys(
        [f"data/synthetic/{n}.py" for n in ("drawing", "hair", "modelling", "occlusion", "traits")],
        "test_face_set.py compares whole drawings with pinned checksums",
    ),
    "native/check.py": "test_build.py and test_native_operators.py run it for each operator",
    "training/run.py": "test_resume.py and cli/test_train.py run it in processes of their own",
    "weights/content.py": "test_opened.py: what every reader of a format returns",
    "weights/names/modules.py": "the tests of the maps of names, which are made of it",
}


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_file_keeps_to_its_room(path):
    tree = ast.parse(path.read_text())
    name = str(path.relative_to(PACKAGE))
    imported = set(imports(tree))
    assert not imported & {"mxnet", "cv2"} or name == "_compat.py", "get it from gluonface._compat"
    assert "horovod" not in imported or name == "parallel/communicator.py"
    assert not imported & {"pickle", "dill", "cloudpickle", "joblib"} or name in {
        "data/unpickle.py",  # the allow-listed reader of verification packs
    }
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"{name}:{node.lineno}: raise an error instead"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            # MXNet runs the source of its operators in its import; the repairs do so later.
            allowed = {"exec"} if name == "_mxnet_repairs.py" else set()
            refused = {"print", "eval", "exec"} - allowed
            assert node.func.id not in refused, f"{name}:{node.lineno}"
    assert ast.get_docstring(tree), "every file says what it is"


def test_a_folder_has_few_files_with_names_that_say_what_they_are():
    found = []
    for folder in [PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir())]:
        package, files = folder.relative_to(PACKAGE).as_posix(), list(folder.glob("*.py"))
        if len(files) > MOST_FILES and package not in LARGE_PACKAGES:
            found.append(
                f"{package}: {len(files)} files, at most {MOST_FILES}; move some to a new one"
            )
    for path in FILES:
        if path.stem in EMPTY_NAMES:
            found.append(f"{path.relative_to(PACKAGE)}: name what is in it")
    assert not found, "\n".join(found)


def covering_test(name):
    """Return the test that covers a file by one of the rules above, None if there is no rule."""
    path = pathlib.PurePosixPath(name)
    package = path.parent.as_posix()
    if path.name.startswith("_"):  # an __init__, or a private file: through its package
        return "."
    if package == "cli" or (package in MEMBERS and re.search(r"\bregister\(", read(name))):
        return MEMBERS[package]
    own = path.parent / f"test_{path.stem.rstrip('_')}.py"
    return own.as_posix() if (TESTS / own).is_file() else None


def read(name):
    return (PACKAGE / name).read_text(encoding="utf-8")


def test_the_tests_mirror_the_rooms():
    names = {path.relative_to(PACKAGE).as_posix() for path in FILES}
    found = []
    for name in sorted(names):
        test = covering_test(name)
        if test is None and name not in ELSEWHERE:
            own = pathlib.PurePosixPath("tests", name)
            found.append(f"{name}: there is no {own.parent}/test_{own.name}")
        elif test and name in ELSEWHERE:
            found.append(f"{name}: take it out of the list, tests/{test} tests it")
        elif test and not (TESTS / test).exists():
            found.append(f"{name}: there is no tests/{test} for the members of its package")
    found += [f"{name}: take it out of the list, there is no such file" for name in ELSEWHERE
              if name not in names]  # fmt: skip
    assert not found, "\n".join(found)


# --- what is written about the packages ---------------------------------------------------------


def packages_of_layers():
    """Return the packages of import-linter's first contract, from the top down."""
    layers = PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    return [name for layer in layers for name in re.findall(r"[\w.]+", layer)]


COLUMN = 26  # characters of the first column of the table


def test_the_map_of_rooms_is_that_of_the_layers():
    text = (ROOT / "CONTRIBUTING.rst").read_text(encoding="utf-8")
    rows = re.search(r"^The packages\n-+\n.*?\n=+ .*?\n=+ .*?\n(.*?)\n=+ ", text, re.S | re.M)[1]
    named = [name for row in rows.split("\n") for name in re.findall(r"``(\w+)``", row[:COLUMN])]
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert named == [package for package in packages_of_layers() if package in there]


def test_the_wheel_has_every_file_of_the_package():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["gluonface"]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    files = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }
    assert files == shipped, "name it in package-data of pyproject.toml"
