"""The catalogue: complete, consistent, its checks, and what recognises a set by its counts."""

import json
import re

import pytest

from gluonface.cli import main
from gluonface.data.catalog import CATALOG, recognise
from gluonface.errors import InputError

TRAINING = ["ms1mv2", "ms1mv3", "glint360k", "casia-webface", "vggface2"]
TRAINING += ["webface4m", "webface12m", "webface42m"]
PACKS = ["lfw", "cfp-ff", "cfp-fp", "agedb-30", "calfw", "cplfw", "vgg2-fp"]
WANTED = [*TRAINING, *PACKS, "ijb-b", "ijb-c", "megaface", "ifrt"]


def test_all_sets_are_there_and_say_everything():
    assert sorted(CATALOG.list()) == sorted(WANTED)
    for name in WANTED:
        entry = CATALOG.get(name)
        assert entry.name == name
        assert entry.kind in ("training", "pairs", "protocol")
        assert all(
            (entry.title, entry.about, entry.layout, entry.license, entry.after, entry.forms)
        )
        assert entry.page.startswith("http")
        assert entry.note
        sums = [*entry.sums.values(), *(d for known in entry.copies.values() for d in known)]
        assert all(re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", digest) for digest in sums)
        for count in (entry.images, entry.identities):
            # The words say the same as the numbers.
            assert count is None or f"{count:,}" in entry.about
        if entry.kind == "pairs":
            assert f"{entry.pairs:,} pairs" in entry.about


def test_what_has_become_of_webface():
    for name in ("webface4m", "webface12m", "webface42m"):
        assert "no longer answers" in CATALOG.get(name).forms.replace("\n", " ")


def test_names_that_users_know():
    assert CATALOG.get("faces_emore").name == "ms1mv2"
    assert CATALOG.get("MS1M-RetinaFace").name == "ms1mv3"
    with pytest.raises(InputError, match="glint360k"):
        CATALOG.get("glint36k")


def test_sets_are_recognised_by_their_counts():
    assert [e.name for e in recognise(85742, 5822653)] == ["ms1mv2"]
    assert recognise(85742, 5822654) == []
    assert [e.name for e in recognise(10572, 490623)] == ["casia-webface"]
    assert recognise(10572, 490624) == []
    assert [e.name for e in recognise(8631, 3000000)] == ["vggface2"]  # its images are not known
    (copy,) = CATALOG.get("calfw").copies["calfw.bin"]
    assert [e.name for e in recognise(pairs=6000, same=3000, sha256=copy)] == ["calfw"]
    assert len(recognise(pairs=6000, same=3000, sha256="0" * 64)) == 4
    assert {e.name for e in recognise(pairs=7000, same=3500)} == {"cfp-ff", "cfp-fp"}
    assert recognise(pairs=7000, same=3499) == []


def test_the_command(tmp_path, capsys):
    assert main(["data", "catalog", "--json", str(tmp_path / "all.json")]) == 0
    shown = capsys.readouterr().out
    assert "17,091,657" in shown
    assert len(json.loads((tmp_path / "all.json").read_text())) == len(WANTED)
    assert main(["data", "catalog", "glint360k"]) == 0
    assert "8483be5af6f9906e19f85dee49132f8e" in capsys.readouterr().out
    assert main(["data", "catalog", "webface*"]) == 0
    assert capsys.readouterr().out.count("training") == 3
    assert main(["data", "catalog", "web*", "--check", "."]) == 2
