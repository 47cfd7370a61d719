"""metrics.csv and verification.csv."""

from callback_cases import trainer_at, written

from gluonface.training.callbacks import CsvFiles
from gluonface.training.callbacks.csv_files import METRICS, read_rows


def test_csv_numbers_come_back_exactly(tmp_path):
    written(tmp_path, [1, 3])
    rows = read_rows(tmp_path / "metrics.csv", METRICS)
    assert [int(row["step"]) for row in rows] == [1, 3]
    assert float(rows[1]["loss"]) == 1 / 3
    assert float(rows[1]["lr"]) == 0.1 + 0.2


def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path):
    written(tmp_path, [2, 4, 6])
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("8,0,1.")  # cut by a kill
    CsvFiles(tmp_path).fit_start(trainer_at(4))
    for name in ("metrics.csv", "verification.csv"):
        lines = (tmp_path / name).read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["step", "2", "4"], name
    assert '"step": 6' not in (tmp_path / "verification.json").read_text()
    CsvFiles(tmp_path).fit_start(trainer_at(0))  # from the start: all of it goes
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 1
    assert not (tmp_path / "verification.json").exists()
