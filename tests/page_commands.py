"""Runs the commands of the pages as they stand, but for sizes and devices."""

import dataclasses
import re
import shlex
import sys

from doc_pages import ROOT, blocks
from two_processes import launch

# Commands that no test runs from a page, and why. Each is the beginning of a line.
CANNOT = {
    r"pip |python3 -m venv|apt-get ": "installs; scripts/quickstart.sh and scripts/test.sh do it",
    r"gluonface install-horovod": "builds for minutes; tests/cli/test_install_horovod.py",
    r"\./scripts/(quickstart|test|test-pythons)\.sh": "installs first, then takes minutes",
    r"\./scripts/(mobilefacenet-arcface|augment)\.sh": "tests/test_recipe_scripts.py",
    r"sudo \./scripts/two-hosts\.sh": "makes network namespaces as root",
    r"srun |mpirun |hosts=|horovodrun .*gluonface train \.\.\.": "needs Slurm or MPI",
    r"python docs/translate\.py": "tests/test_docs_translations.py",
    r"(OMP_NUM_THREADS=\d )?python docs/(measure|gallery/digits)\.py": "measures for minutes",
    r"python -m pytest": "the tests themselves",
    r"gluonface data catalog glint360k --(check|mirror)": "has published checksums of 90 GB; "
    "tests/data/catalog",
    r"curl ": "needs the server of the page; tests/test_docs_use.py asks it in other ways",
}


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a test changes in the commands that begin with some words, and why."""

    command: str
    words: dict = dataclasses.field(default_factory=dict)  # in place of these, those
    more: str = ""  # at the end
    why: str = ""


NEW_RUN = (
    "--set train.steps=2 --set train.epochs=null --set data.batch_size=8 --set checkpoint.every=1 "
    "--set checkpoint.keep=9 --set schedule.warmup_steps=0 --set optimizer.lr=0.001 "
    "--set log.curves=false --set train.dtype=float32"
)
RULES = [
    Rule(
        "train --recipe", {}, NEW_RUN,
        "two steps of eight images, too few for a warm-up; a CPU has no float16",
    ),
    Rule("train", {"gpu": "cpu", "gpu0,gpu1": "cpu0,cpu1"}, "", "there is no GPU"),
    Rule("train --run", {"12000": "1"}, "", "the stand-in has steps 1 and 2"),
    Rule("data clean", {}, "--angle 179", "after two steps no image is near its centre"),
    Rule(
        "data synthesize", {},
        "--identities 10 --images 3 --test-identities 20 --pairs 20 --workers 1",
        "each face takes milliseconds to draw",
    ),
    Rule(
        "bench backbone", {}, "--batch-size 2 --inference-batches 1 --repeats 1 --threads 1",
        "measures for a minute",
    ),
    Rule("bench data", {}, "--images 40 --repeats 1 --batch-size 8", "the same"),
    Rule(
        "bench head --parallel", {}, "--classes 2000 --batch-size 8 --steps 2",
        "the same, in gigabytes",
    ),
    Rule("bench eval", {}, "--scale 0.001 --no-reference --repeats 1", "the same"),
]  # fmt: skip
# `--parallel horovod`, without horovodrun
ONE_PROCESS = {"train": "local", "bench": "local", "eval": "none"}


MEASURED = set()  # benchmarks read nothing of a page, so each runs once


def reason_not_to_run(line):
    """Return why no test runs a line of a page, or None."""
    return next((why for start, why in CANNOT.items() if re.match(start, line)), None)


def lines_of(code):
    """Return the commands of a block: without what continues a line, comments and blank lines."""
    lines = [line.strip() for line in code.replace("\\\n", " ").split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


def commands_of(path):
    """Yield (line of its block, command) of all commands of a page."""
    for number, _, code in blocks(path, "bash"):
        for line in lines_of(code):
            yield number, line


def words_of(line):
    """Return the words after `gluonface` of a command, and the number of its processes."""
    words = shlex.split(line, comments=True)
    while re.match(r"[A-Z_]+=", words[0]):  # a variable, which MXNet would only read at its import
        words = words[1:]
    processes = int(words[words.index("-np") + 1]) if words[0] == "horovodrun" else 1
    return words[words.index("gluonface") + 1 :], processes


def rules_for(words):
    """Return the rules that hold for the words of a command."""
    return [rule for rule in RULES if words[: len(rule.command.split())] == rule.command.split()]


def sized(words):
    """Return the words of a command with the changes of all rules."""
    more = []
    for rule in rules_for(words):
        words = [rule.words.get(word, word) for word in words]
        more += rule.more.split()
    return [*words, *more]


def run(line, full=False, sizes=True):
    """Run a command of a page.

    Parameters
    ----------
    line : str
    full : bool
        Run what begins with `horovodrun` in two processes, and write reports. By default it is one
        process, and a `--report`, whose figures take a second, is left out.
    sizes : bool, default True
        Change sizes by RULES.
    """
    from gluonface.cli import main

    if line.startswith("python -c "):
        exec(shlex.split(line)[2], {})
        return
    words, processes = words_of(line)
    words = sized(words) if sizes else words
    if processes > 1 and full:
        done = launch(2, sys.executable, str(ROOT / "tests/small_networks.py"), *words)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return
    if processes > 1:
        words = [ONE_PROCESS[words[0]] if word == "horovod" else word for word in words]
    if "--report" in words and not full:
        at = words.index("--report")
        words = words[:at] + words[at + 2 :]
    if words[0] == "bench":
        if tuple(words) in MEASURED:
            return
        MEASURED.add(tuple(words))
    status = main(words)
    assert status == 0, f"status {status}: gluonface {shlex.join(words)}"
