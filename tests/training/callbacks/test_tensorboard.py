"""Scalars of TensorBoard."""

import resource

import numpy as np
import pytest
from callback_cases import record, trainer_at
from state_cases import make, rows

from gluonface.training.callbacks import ConsoleLog, CsvFiles, TensorBoard


def scalars(folder):
    """Return the values by tag of TensorBoard's event files, without TensorBoard."""
    from tensorboardX.proto.event_pb2 import Event

    values = {}
    for path in sorted(folder.glob("**/events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):  # length (8), its checksum (4), an event, its checksum (4)
            length = int.from_bytes(data[at : at + 8], "little")
            for value in Event.FromString(data[at + 12 : at + 12 + length]).summary.value:
                values.setdefault(value.tag, []).append(value.simple_value)
            at += length + 16
    return values


def test_each_auxiliary_loss_is_logged(tiny, noise_set, tmp_path, caplog):
    entries = {"center": 0.1, "focal": {}, "ring": 0.5}
    results = []

    class Watch:
        def result(self, trainer):
            results.append(trainer.last_result.auxiliary)

    trainer = make(noise_set, "arcface", entries)
    trainer.callbacks += [Watch(), ConsoleLog(), CsvFiles(tmp_path), TensorBoard(tmp_path)]
    with caplog.at_level("INFO"):
        trainer.fit()
    table = rows(tmp_path / "metrics.csv")
    assert [row["step"] for row in table] == ["2", "4", "6"]
    events = scalars(tmp_path)
    for name in entries:
        values = np.array([result[name] for result in results])
        assert np.isfinite(values).all()
        assert len(set(values)) == 6
        logged = [float(row[f"auxiliary_{name}"]) for row in table]
        np.testing.assert_allclose(logged, values.reshape(3, 2).mean(axis=1), rtol=1e-12)
        written = events[f"train/auxiliary/{name}"]
        np.testing.assert_allclose(written, logged, rtol=1e-6)  # float32
        assert f"{name} {logged[-1]:.4f}" in caplog.messages[-1]
    # The loss is what was minimised: focal's in place of the head's, the others by weight.
    for row in table:
        total = float(row["auxiliary_focal"]) + 0.1 * float(row["auxiliary_center"])
        total += 0.5 * float(row["auxiliary_ring"])
        assert float(row["loss"]) == pytest.approx(total, rel=1e-5)


def test_a_full_disk_is_an_error_with_the_files_name_and_not_a_wait_without_end(tmp_path):
    trainer = trainer_at(3, last_log=record(3))
    events = TensorBoard(tmp_path)
    events.fit_start(trainer)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            list(map(events.log, [trainer] * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path / "events.out.tfevents")
    events.close()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size <= 600
