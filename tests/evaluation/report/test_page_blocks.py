import dataclasses

import pytest

from gluonface.evaluation.report.report_folder import write_report


def test_both_conventions_stand_side_by_side(tmp_path, groups, read_page):
    result = groups(draws=20)
    page = read_page(write_report(tmp_path, [dataclasses.replace(result, subsets=())]))
    head, *rows = page.table("FAR", "TAR")
    assert head == [
        "FAR", "TAR", "95 % interval", "realised FAR", "false accepts", "allowed", "threshold",
        "TAR", "realised FAR", "false accepts", "threshold",
    ]  # fmt: skip
    points = {(p.convention, p.target): p for p in result.operating_points}
    for target, row in zip((1e-3, 1e-2), rows):
        strict, nearest = points["strict", target], points["reference", target]
        assert row[1] == f"{strict.tar:.6f}"
        assert row[2] == f"{strict.low:.4f} to {strict.high:.4f}"
        assert float(row[3]) == pytest.approx(strict.far, rel=6e-3)  # three digits
        assert row[4:7] == [str(strict.false_accepts), str(strict.allowed),
                            f"{strict.threshold:.4f}"]  # fmt: skip
        assert row[7] == f"{nearest.tar:.6f}"
        assert float(row[8]) == pytest.approx(nearest.far, rel=6e-3)
        assert row[9] == str(nearest.false_accepts)
