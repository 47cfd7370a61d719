"""The files of a run folder that say what the run is: config, command, environment, log."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import logging
import os
import pathlib
import platform
import shlex
import sys
import time
from typing import Any

from ..errors import DataError, InputError, LogLine, TrainingError
from ..files import FileLock, atomic_write, open_to_write, remove_unfinished, write_json
from ..machine import cpu_name, find_commit, installed_version
from ..weights.source import absolute_source
from .config.config import Config
from .config.recipes import config_text

__all__ = ["RunFolder"]

logger = logging.getLogger(__name__)

PACKAGES = ("mxnet", "mxnet-cu112", "numpy", "gluoncv", "opencv-python-headless", "horovod", "onnx")


CHECKSUM = "# sha256 of the lines below: "


class RunFolder:
    """A folder of one run, which one process at a time holds to write.

    The file run.lock is locked as long as that process lives, however it ends; its content says
    who that is. Readers need no lock.

    Parameters
    ----------
    path : str or pathlib.Path
    """

    def __init__(self, path: str | pathlib.Path):
        self.path = pathlib.Path(path)
        self._lock = FileLock(self.path / "run.lock")
        self._handler: Any = None
        self._level: int | None = None
        self._quiet: Any = None
        self._quieted: list = []

    @property
    def config(self) -> pathlib.Path:
        """The path of the resolved configuration."""
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> pathlib.Path:
        """The path of the checkpoints."""
        return self.path / "checkpoints"

    def exists(self) -> bool:
        """Return whether a run has begun here."""
        return self.config.is_file() or self.checkpoints.is_dir()

    def enter(self, resume: bool):
        """Take the lock of a run to resume, or check that there is none yet.

        Raises
        ------
        InputError
            If another process holds the folder, or it holds a run that is not to be resumed.
        """
        if resume:
            if self.path.is_dir():
                self._hold()
        else:
            self.require_new()

    def require_new(self):
        """Raise InputError if a run has begun here, or the path is a file."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"--run {self.path} is a file; a folder was expected")
        if self.exists():
            if not self._lock.held:
                self._hold()  # says who trains here
                self._lock.release()
            raise InputError(
                f"--run {self.path} already holds a run. Add --resume to go on with it, "
                "or choose another folder"
            )

    def _hold(self):
        """Lock run.lock and write into it who holds it.

        Raises
        ------
        InputError
            If another process holds it, with its host and number.
        """
        holder = self._lock.acquire()
        if holder is not None:
            raise InputError(
                f"--run {self.path} is in use: {holder}, trains there. Wait for it, stop it, or "
                "choose another folder"
            )

    def require_whole_config(self) -> None:
        """Raise DataError if config.yaml is not what `begin` wrote; without a checksum it passes.

        A file that is cut between two lines would be read, with defaults for what is missing.
        """
        first, _, rest = self.config.read_bytes().partition(b"\n")
        if not first.startswith(CHECKSUM.encode()):
            return
        if first[len(CHECKSUM) :].decode(errors="replace") != hashlib.sha256(rest).hexdigest():
            raise DataError(
                f"{self.config} is damaged, or was edited: its lines are not those of its "
                "checksum. Take the copy in checkpoints/last/config.yaml (or that of an older "
                "checkpoint); settings are changed with --set"
            )

    def require_begun(self, wait: float = 5.0):
        """Raise TrainingError if this rank does not see the files that `begin` wrote on rank 0."""
        until = time.monotonic() + wait
        while not self.config.is_file():  # a network file system may need a moment
            if time.monotonic() > until:
                raise TrainingError(
                    f"{self.config}, which rank 0 has written, is not here: the run folder must "
                    "be on a file system that all machines share, under the same path"
                )
            time.sleep(0.1)

    def begin(self, config: Config, argv: list[str]):
        """Write config.yaml, command.txt and env.json, and start logging to train.log.

        Parameters
        ----------
        config : Config
        argv : list of str
            The command; appended to those of earlier starts of the run.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._lock.held:
            self._hold()
            self.require_new()  # another process may have begun since the last look
        remove_unfinished(self.path)
        text = config_text(with_absolute_paths(config))
        with atomic_write(self.config, "w", encoding="utf-8") as file:
            file.write(f"{CHECKSUM}{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
        now = datetime.datetime.now().isoformat(timespec="seconds")
        with open_to_write(self.path / "command.txt", "a", encoding="utf-8") as file:
            file.write(f"# {now} in {os.getcwd()}\n{shlex.join(argv)}\n")
        write_json(self.path / "env.json", environment())
        self._handler = LogFile(self.path / "train.log")
        self._handler.setFormatter(LogLine("%(asctime)s %(levelname)s %(message)s"))
        package = logging.getLogger("gluonface")
        package.addHandler(self._handler)
        shown = package.getEffectiveLevel()
        if shown > logging.INFO:  # the file gets INFO even if the terminal does not
            self._level = package.level
            package.setLevel(logging.INFO)
            self._quiet = lambda record: record.levelno >= shown
            self._quieted = list(logging.getLogger().handlers)
            for handler in self._quieted:
                handler.addFilter(self._quiet)

    def note(self, message: str) -> None:
        """Write an error to train.log alone; the caller shows it to the user."""
        if self._handler is not None:
            record = logging.LogRecord(__name__, logging.ERROR, __file__, 0, message, None, None)
            self._handler.handle(record)

    def end(self) -> None:
        """Stop logging to train.log, and give up the lock."""
        self._lock.release()
        if self._handler is None:
            return
        package = logging.getLogger("gluonface")
        package.removeHandler(self._handler)
        self._handler.close()
        self._handler = None
        if self._level is not None:
            package.setLevel(self._level)
            self._level = None
        for handler in self._quieted:
            handler.removeFilter(self._quiet)


def with_absolute_paths(config: Config) -> Config:
    """Return a configuration whose files are found from any folder: a run is resumed anywhere."""

    def absolute(path):
        return None if path is None else os.path.abspath(path)

    data, packs = config.data, [absolute(path) for path in config.eval.packs]
    teacher = config.teacher
    return dataclasses.replace(
        config,
        data=dataclasses.replace(data, path=absolute(data.path)),
        eval=dataclasses.replace(config.eval, packs=packs),
        head=dataclasses.replace(config.head, centers_path=absolute(config.head.centers_path)),
        teacher=dataclasses.replace(
            teacher,
            source=None if teacher.source is None else absolute_source(teacher.source),
            embeddings=absolute(teacher.embeddings),
            centers=teacher.centers if teacher.centers == "means" else absolute(teacher.centers),
        ),
    )


class LogFile(logging.StreamHandler):
    """Appends log lines to a file; when that fails it says so once, and training goes on.

    Parameters
    ----------
    path : str or pathlib.Path
    """

    def __init__(self, path: str | pathlib.Path):
        super().__init__(open_to_write(path, "a", encoding="utf-8", errors="backslashreplace"))
        self._failed = False

    def handleError(self, record):
        """Say once that the log is not written, not with a traceback for every line."""
        error = sys.exc_info()[1]
        if not self._failed and isinstance(error, OSError):
            self._failed = True
            logger.warning("%s is not written any more: %s", error.filename, error.strerror)
        elif not self._failed:
            super().handleError(record)

    def close(self):
        """Close the file."""
        super().close()
        with contextlib.suppress(OSError):
            self.stream.close()


def environment():
    """Return versions, commit, processor and threads, as env.json keeps them."""
    from .. import __version__
    from .._compat import mx, usable_cores

    return {
        "gluonface": __version__,
        "commit": find_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version for name in PACKAGES if (version := installed_version(name))},
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "gpus": mx.context.num_gpus(),
        "executable": sys.executable,
    }
