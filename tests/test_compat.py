"""What stands between MXNet 1.9.1 and the machine: each test runs it in a fresh interpreter."""

import os
import pathlib
import subprocess
import sys

import pytest

from gluonface import _compat, _mxnet_hook
from gluonface.errors import GluonfaceError

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(code, *, path=None, **environment):
    """Run `code` in a new interpreter and return what it printed; fail with its stderr."""
    env = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    env.update(environment, PYTHONPATH=os.pathsep.join(map(str, [*(path or []), ROOT])))
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_and_its_metrics_does_not_import_mxnet():
    code = "import gluonface, gluonface.evaluation.metrics, sys; print('mxnet' in sys.modules)"
    assert run(code) == "False"


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({}, _compat.usable_cores()),
        ({"HOROVOD_LOCAL_SIZE": "64"}, 1),
        ({"OMP_NUM_THREADS": "7"}, 7),
    ],
)
def test_the_thread_count_is_the_share_of_this_process_unless_the_user_chose(environment, threads):
    code = (
        "import logging; logging.basicConfig(level=logging.INFO, format='%(message)s');"
        "from gluonface._compat import mx; import os; print(os.environ['OMP_NUM_THREADS'])"
    )
    assert run(code, **environment) == str(threads)


def test_the_thread_count_is_logged(caplog, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(_compat, "usable_cores", lambda: 8)
    monkeypatch.setenv("HOROVOD_LOCAL_SIZE", "2")
    with caplog.at_level("INFO", logger="gluonface._compat"):
        _compat._set_thread_count()
        assert os.environ["OMP_NUM_THREADS"] == "4"
        _compat._set_thread_count()
    assert "4 OpenMP threads (8 usable cores, 2 local processes)" in caplog.messages[0]
    assert "OMP_NUM_THREADS=4 is set; left as it is" in caplog.messages[1]


@pytest.mark.parametrize(
    ("name", "value", "ranks"),
    [
        ("OMPI_COMM_WORLD_LOCAL_SIZE", "4", 4),
        ("SLURM_STEP_TASKS_PER_NODE", "8(x2)", 8),
        ("HOROVOD_LOCAL_SIZE", "", 1),
    ],
)
def test_the_launcher_says_how_many_ranks_share_the_machine(monkeypatch, name, value, ranks):
    for variable in (
        "HOROVOD_LOCAL_SIZE",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        "SLURM_STEP_TASKS_PER_NODE",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    assert _compat._local_ranks() == ranks


def test_a_plain_import_of_mxnet_works_after_ours():
    code = (
        "import gluonface, sys; import mxnet, os, numpy; from gluonface._compat import mx;"
        "print(mx is mxnet, os.environ['OMP_NUM_THREADS'], mx.nd.ones(2).sum().asscalar())"
    )
    assert run(code) == f"True {_compat.usable_cores()} 2.0"


def test_a_failed_preparation_fails_again(monkeypatch):
    def fail():
        raise GluonfaceError("no driver")

    monkeypatch.setattr(_compat, "prepare", fail)
    monkeypatch.delitem(sys.modules, "mxnet", raising=False)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    _mxnet_hook.install()
    for _ in range(2):
        with pytest.raises(GluonfaceError, match="no driver"):
            _compat._import_mxnet()


@pytest.mark.parametrize(
    ("python", "cpu", "gpu"),
    [
        ((3, 9), r"pip install 'gluonface\[cpu\]'\.", r"pip install 'gluonface\[cu112\]'\."),
        ((3, 12), r"pip install 'gluonface\[cpu\]'\.", r"pip install 'gluonface\[cu112\]'\."),
        (
            (3, 13),
            r"pip install --no-deps mxnet==1\.9\.1\.",
            r"pip install --no-deps mxnet-cu112==1\.9\.1\.",
        ),
        (
            (3, 14),
            r"pip install --no-deps mxnet==1\.9\.1\.",
            r"pip install --no-deps mxnet-cu112==1\.9\.1\.",
        ),
    ],
)
def test_without_mxnet_the_error_is_the_command_for_this_python(monkeypatch, python, cpu, gpu):
    def fail(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.delitem(sys.modules, "mxnet", raising=False)
    monkeypatch.setattr(_compat.importlib, "import_module", fail)
    monkeypatch.setattr(_compat.sys, "version_info", python)
    with pytest.raises(GluonfaceError, match=f"On a CPU: {cpu} On NVIDIA GPUs: {gpu}"):
        _compat._import_mxnet()


def test_what_mxnet_itself_misses_is_not_called_a_missing_mxnet(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError("No module named 'graphviz'", name="graphviz")

    monkeypatch.delitem(sys.modules, "mxnet", raising=False)
    monkeypatch.setattr(_compat.importlib, "import_module", fail)
    with pytest.raises(ModuleNotFoundError, match="graphviz"):
        _compat._import_mxnet()


def test_a_missing_opencv_library_says_which_build_to_install(monkeypatch):
    def fail(name):
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(_compat.importlib, "import_module", fail)
    with pytest.raises(GluonfaceError, match=r"libGL\.so\.1.*opencv-python-headless"):
        _compat._import_cv2()


def make_cuda_folder(root):
    for folder, soname in _compat.CUDA_LIBRARIES:
        (root / folder / "lib").mkdir(parents=True)
        (root / folder / "lib" / soname).touch()


def test_cuda_libraries_are_loaded_after_the_driver_in_their_order(tmp_path):
    make_cuda_folder(tmp_path)
    loaded = []
    _compat._load_cuda(tmp_path, loaded.append)
    assert loaded[0] == "libcuda.so.1"
    folders = [pathlib.Path(path).parent.parent.name for path in loaded[1:]]
    assert " ".join(folders) == (
        "cuda_runtime cuda_nvrtc nvtx cublas cufft curand cusparse cusolver nccl cudnn"
    )


def test_a_missing_driver_and_a_broken_library_are_named(tmp_path):
    make_cuda_folder(tmp_path)

    def load(path):
        if missing in path:
            raise OSError(f"{path}: cannot open shared object file")

    missing = "libcuda.so.1"
    with pytest.raises(GluonfaceError, match=r"NVIDIA driver's libcuda\.so\.1.*gluonface\[cpu\]"):
        _compat._load_cuda(tmp_path, load)
    missing = "libcudnn"
    with pytest.raises(GluonfaceError, match=r"libcudnn\.so\.8 cannot be loaded.*cu112"):
        _compat._load_cuda(tmp_path, load)
