"""`gluonface install-horovod`: build Horovod for the MXNet of this installation."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the arguments of `gluonface install-horovod` to `parser`."""
    parser.add_argument(
        "operations",
        nargs="?",
        default="cpu",
        choices=("cpu", "nccl"),
        help="cpu: Gloo; nccl: NVIDIA's library, which also needs a CUDA 11 toolkit",
    )
    parser.add_argument(
        "--environment",
        metavar="DIR",
        help="a virtual environment (if not given, the one of this command)",
    )


def run(args):
    """Run the script that comes with the package; return its exit status."""
    import pathlib
    import subprocess
    import sys

    from ..errors import InputError

    environment = pathlib.Path(args.environment or sys.prefix)
    if not (environment / "bin" / "python").exists():
        raise InputError(
            f"there is no virtual environment in {environment}; --environment DIR names one"
        )
    script = pathlib.Path(__file__).parents[1] / "parallel" / "install-horovod.sh"
    return subprocess.run(["bash", script, environment, args.operations], check=False).returncode
