"""What `gluonface doctor` shows."""

import importlib.util
import json

import pytest

from gluonface import gpus
from gluonface.cli import doctor, main


def test_it_shows_versions_engines_devices_and_caches(capsys, tmp_path):
    assert main(["doctor", "--json", str(tmp_path / "d.json")]) == 0
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["versions"]["MXNet"].startswith("1.9.1, built for ")
    for rows in list(found.values())[:5]:
        for name, value in rows.items():
            assert name in printed
            assert str(value) in printed
    assert main(["doctor", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == found


@pytest.mark.parametrize("words", [["--version", "--verbose"], ["-V", "--verbose"]])
def test_a_verbose_version_is_the_same(capsys, words):
    assert main(["doctor"]) == 0
    expected = capsys.readouterr().out
    assert main(words) == 0
    assert capsys.readouterr().out == expected


def test_gpus_with_their_compute_capability(monkeypatch, capsys):
    here = [gpus.Gpu("A100", 8, 0), gpus.Gpu("H100", 9, 0)]
    monkeypatch.setattr(gpus, "query_gpu", lambda n: here[n] if n < len(here) else None)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "A100, compute capability 8.0: MXNet has code for it" in printed
    assert "H100, compute capability 9.0: MXNet has no code for it" in printed


def test_what_is_missing_is_named_with_its_command(monkeypatch, capsys):
    find = importlib.util.find_spec
    gone = {"onnx", "horovod"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in gone else find(name, *rest)
    )
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out.partition("missing, and what needs it")[2]
    assert "export --onnx" in printed
    assert "gluonface[onnx]" in printed
    assert "train --parallel horovod" in printed


def test_a_broken_installation_is_told_and_is_status_1(monkeypatch, capsys):
    """In place of the import of OpenCV, which other tests of this process need."""
    import gluonface._compat as compat
    from gluonface.errors import GluonfaceError

    class Broken(type(compat)):
        mx = compat.mx

        def __getattr__(self, name):
            if name == "cv2":
                raise GluonfaceError("OpenCV cannot be imported: libGL.so.1")
            return getattr(compat, name)

    import sys

    monkeypatch.setitem(sys.modules, "gluonface._compat", Broken("gluonface._compat"))
    found = []
    doctor._versions(found)
    assert found == ["OpenCV: OpenCV cannot be imported: libGL.so.1"]
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "_versions", lambda wrong: wrong.append("OpenCV: no") or {})
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "WRONG: OpenCV: no" in printed
    assert "unknown while something is wrong" in printed


def test_every_extra_of_a_command_is_known():
    tomllib = pytest.importorskip("tomllib")
    import pathlib

    text = (pathlib.Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert {extra for _, extra, _ in doctor.OPTIONAL.values()} == {*extras} - {
        "cpu", "cu112", "docs", "dev",
    }  # fmt: skip
