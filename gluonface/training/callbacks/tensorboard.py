"""TensorBoard events."""

__all__ = ["TensorBoard"]


class TensorBoard:
    """Write scalars for TensorBoard.

    Parameters
    ----------
    folder : str or pathlib.Path
        The run folder.
    """

    def __init__(self, folder):
        self._folder = str(folder)
        self._writer = None

    def fit_start(self, trainer):
        """Open a new event file; a resumed run discards the events after its checkpoint."""
        from tensorboardX import SummaryWriter

        step = trainer.progress.step
        self._writer = SummaryWriter(self._folder, purge_step=step + 1 if step else None)

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
            self._writer.add_scalar(tag, value, record.step)

    def evaluation(self, trainer):
        """Write the verification results."""
        evaluation = trainer.last_evaluation
        for name, pack in evaluation["packs"].items():
            for metric in ("accuracy", "auc", "eer"):
                if pack.get(metric) is not None:
                    self._writer.add_scalar(
                        f"verification/{name}/{metric}", pack[metric], evaluation["step"]
                    )

    def close(self):
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
