"""What the driver says of a GPU, from a stand-in for its library."""

import logging
import shutil
import subprocess

import pytest

from gluonface import gpus
from gluonface._compat import mx
from gluonface.deploy.embedder import context_of
from gluonface.errors import InputError
from gluonface.gpus import Gpu, check_gpu, query_gpu
from gluonface.model_zoo import get_model
from gluonface.training.devices import contexts

SOURCE = """
#include <string.h>
static const int major[] = {MAJORS}, minor[] = {MINORS};
static const char *names[] = {NAMES};
static int ready;
int cuInit(unsigned flags) { ready = 1; return flags; }
int cuDeviceGet(int *device, int number) {
  if (!ready || number < 0 || number >= (int)(sizeof major / sizeof *major)) return 101;
  *device = 40 + number;  /* a handle, not the number */
  return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  if (attribute != 75 && attribute != 76) return 1;
  *value = attribute == 75 ? major[device - 40] : minor[device - 40];
  return 0;
}
int cuDeviceGetName(char *name, int length, int device) {
  strncpy(name, names[device - 40], length);
  return 0;
}
"""
CARDS = [
    Gpu("NVIDIA H100 PCIe", 9, 0),
    Gpu("NVIDIA GeForce RTX 5090", 12, 0),
    Gpu("NVIDIA B200", 10, 0),
    Gpu("Tesla K80", 3, 7),
    Gpu("NVIDIA L4", 8, 9),
    Gpu("NVIDIA A10", 8, 6),
    Gpu("Tesla T4", 7, 5),
    Gpu("GeForce GTX 980", 5, 2),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return the path of a library with the driver's functions, which knows `CARDS`."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("driver")
    lists = {
        "MAJORS": ", ".join(str(card.major) for card in CARDS),
        "MINORS": ", ".join(str(card.minor) for card in CARDS),
        "NAMES": ", ".join(f'"{card.name}"' for card in CARDS),
    }
    source = SOURCE
    for key, text in lists.items():
        source = source.replace(key, text)
    (folder / "cuda.c").write_text(source)
    path = folder / "libcuda.so.1"
    command = [compiler, "-shared", "-fPIC", "-o", str(path), str(folder / "cuda.c")]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def driver(library, monkeypatch):
    monkeypatch.setattr(gpus, "DRIVER", str(library))
    monkeypatch.delenv(gpus.ANY, raising=False)
    monkeypatch.setenv(gpus.FUSION, "")  # so that it is put back
    monkeypatch.delenv(gpus.FUSION)


def test_the_driver_is_asked(driver):
    assert [query_gpu(number) for number in range(len(CARDS))] == CARDS
    assert query_gpu(len(CARDS)) is None


@pytest.mark.parametrize("number", range(4))
def test_what_mxnet_has_no_code_for_is_refused(driver, number, monkeypatch):
    card = CARDS[number]
    named = rf"gpu\({number}\) is {card.name}, compute capability {card.capability}"
    with pytest.raises(InputError, match=named + r".*--ctx cpu.*onnxruntime-gpu"):
        check_gpu(number)
    monkeypatch.setenv(gpus.ANY, "1")
    check_gpu(number)


def test_generations_are_named(driver):
    for number, generation in enumerate(["Hopper", "Blackwell", "Blackwell", "Kepler"]):
        with pytest.raises(InputError, match=rf"\({generation}\)"):
            check_gpu(number)


def test_the_others_run(driver, monkeypatch, caplog):
    import os

    for number in (5, 6, 7):
        check_gpu(number)
        assert gpus.FUSION not in os.environ
    with caplog.at_level(logging.INFO):
        check_gpu(4)
    assert os.environ[gpus.FUSION] == "0"
    assert "does not know gpu(4), NVIDIA L4, compute capability 8.9" in caplog.text
    monkeypatch.setenv(gpus.FUSION, "1")  # as the user says
    check_gpu(4)
    assert os.environ[gpus.FUSION] == "1"


def test_without_a_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus, "DRIVER", str(tmp_path / "libcuda.so.1"))
    assert query_gpu(0) is None
    check_gpu(0)
    (tmp_path / "libcuda.so.1").write_bytes(b"no library")
    assert query_gpu(0) is None


def test_every_way_to_a_gpu_asks_first(driver, monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: len(CARDS))
    for way in (
        lambda: context_of(None),
        lambda: context_of("gpu"),
        lambda: context_of(mx.gpu(0)),
        lambda: contexts("gpu5,gpu0"),
        lambda: get_model("mobilefacenet", ctx=mx.gpu(0)),
    ):
        with pytest.raises(InputError, match=r"NVIDIA H100 PCIe, compute capability 9\.0"):
            way()
    assert context_of("gpu5") == mx.gpu(5)
    assert contexts("gpu5,gpu6") == [mx.gpu(5), mx.gpu(6)]
