"""TensorBoard events."""

import contextlib
import pathlib
import time

__all__ = ["TensorBoard"]


class TensorBoard:
    """Write scalars for TensorBoard.

    Each is written at once: tensorboardX's `SummaryWriter` writes in a thread, which ends when the
    disk is full, and then waits for it without end.

    Parameters
    ----------
    folder : str or pathlib.Path
        The run folder.
    """

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._events = None

    def fit_start(self, trainer):
        """Open a new event file; a resumed run discards the events after its checkpoint."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        step = trainer.progress.step
        with self._named():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._events = EventsWriter(str(self._folder / "events"))
        if step:  # events from this step on are of another session
            self._write(step + 1, session_log=SessionLog(status=SessionLog.START))

    def log(self, trainer):
        """Write the record."""
        record = trainer.last_log
        for tag, value in (
            ("train/loss", record.loss),
            ("train/accuracy", record.accuracy),
            ("train/target_cosine", record.target_cosine),
            ("train/lr", record.lr),
            ("train/margin_strength", record.strength),
            ("speed/images_per_second", record.images_per_second),
            ("speed/data_wait", record.data_wait),
            *((f"train/auxiliary/{name}", value) for name, value in record.auxiliary.items()),
        ):
            self._scalar(tag, value, record.step)

    def evaluation(self, trainer):
        """Write the verification results."""
        evaluation = trainer.last_evaluation
        for name, pack in evaluation["packs"].items():
            for metric in ("accuracy", "auc", "eer"):
                if pack.get(metric) is not None:
                    self._scalar(f"verification/{name}/{metric}", pack[metric], evaluation["step"])

    def close(self):
        """Close the file."""
        if self._events is not None:
            with self._named():
                self._events.close()

    def _scalar(self, tag, value, step):
        from tensorboardX.summary import scalar

        self._write(step, summary=scalar(tag, value))

    def _write(self, step, **content):
        from tensorboardX.proto.event_pb2 import Event

        with self._named():
            self._events.write_event(Event(step=step, wall_time=time.time(), **content))
            self._events.flush()

    @contextlib.contextmanager
    def _named(self):
        """Name the file in an error of the system, after which nothing more is written."""
        try:
            yield
        except OSError as error:
            self._events = None
            path = self._folder / "events.out.tfevents"
            raise OSError(error.errno, error.strerror, str(path)) from None
