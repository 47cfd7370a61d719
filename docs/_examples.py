"""What comes out of the quick start, for the first page: curve, report, contact sheet.

Nothing is trained when the site is built. `docs/measure.py pictures` keeps the log's numbers of the
quick start and the scores of its pairs in docs/results; the package's own code makes of them what
it made in the quick start. Faces are drawn by a program.
"""

import csv
import pathlib

import _figures
import numpy as np

__all__ = ["draw_all", "pages"]

RESULTS = pathlib.Path(__file__).parent / "results"
SCORES, CURVE = RESULTS / "quickstart_scores.csv", RESULTS / "quickstart_curve.csv"
SETTINGS = {"seed": 0, "test_identities": 100, "images": 30, "pairs": 600}  # of the quick start
PEOPLE, IMAGES = 3, 10  # of the contact sheet


def pages():
    """Return {file name: reST}: the plots of the report, which stand in the page."""
    from gluonface.evaluation.report import page_blocks

    plots = page_blocks.plot_block([("quick start", _result())])["plots"]
    wanted = [plots[0], plots[-1]]  # ROC and scores
    text = "\n".join(f'<div class="report-plot">{plot}</div>' for plot in wanted)
    lines = "\n".join(
        f"   {line}" for line in f'<div class="report-plots">{text}</div>'.split("\n")
    )
    return {"example_plots.inc": f".. raw:: html\n\n{lines}\n"}


def draw_all(folder):
    """Draw the curve and the contact sheet, and write the report's page; return the paths."""
    from gluonface.data import images
    from gluonface.data.synthetic.face_set import contact_sheet

    folder = pathlib.Path(folder)
    sheet = folder / "example_faces.jpg"
    data = images.encode(contact_sheet(SETTINGS["seed"], PEOPLE, IMAGES), 85)
    sheet.parent.mkdir(parents=True, exist_ok=True)
    if not sheet.exists() or sheet.read_bytes() != data:
        sheet.write_bytes(data)
    curves = _figures.draw_themes(folder, "example_curve", _curve, (7, 2.6))
    return [sheet, *curves, *_report(folder / "site" / "report")]


def _read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _result():
    """Return the result of the quick start's model on its pack, from the scores of the pairs."""
    import dataclasses

    from gluonface.evaluation.protocols import verification

    rows = _read(SCORES)
    cosine = np.array([float(row["cosine"]) for row in rows])
    same = np.array([row["same"] == "1" for row in rows])
    # Two vectors of length 1 in a plane, with the cosine of the pair.
    vectors = np.zeros((len(rows), 2, 2))
    vectors[:, 0, 0] = 1
    vectors[:, 1] = np.stack([cosine, np.sqrt(1 - cosine**2)], axis=1)
    found = verification.evaluate_variants(vectors.reshape(-1, 2), None, same, ("none",))["none"]
    return dataclasses.replace(found, name="test", model="runs/quickstart")


def _report(folder):
    from gluonface.data.synthetic.face_set import FIRST_TEST_IDENTITY, draw_face
    from gluonface.data.synthetic.pairs import plan_pairs
    from gluonface.evaluation.report.report_folder import write_report
    from gluonface.evaluation.report.worst_errors import ErrorSide

    plan = plan_pairs(*(SETTINGS[key] for key in ("seed", "test_identities", "images", "pairs")))

    def face(who, number):
        return [draw_face(SETTINGS["seed"], FIRST_TEST_IDENTITY + who, number)]

    def sides(result, error):
        a, number_a, b, number_b = plan[error.index]
        return tuple(
            ErrorSide(f"person {who}, image {number}", lambda w=who, n=number: face(w, n))
            for who, number in ((a, number_a), (b, number_b))
        )

    command = "gluonface eval verification --model runs/quickstart --pack test.bin --flip none"
    write_report(folder, [_result()], {"name": "runs/quickstart"}, sides, command)
    return sorted(path for path in folder.iterdir() if path.is_file())


def _curve(figure):
    rows = _read(CURVE)
    step = [int(row["step"]) for row in rows]
    loss, cosine = figure.subplots(1, 2, sharex=True)
    loss.plot(step, [float(row["loss"]) for row in rows], color=_figures.COLOURS[0])
    loss.set_title("loss", fontsize=10)
    cosine.plot(step, [float(row["target_cosine"]) for row in rows], color=_figures.COLOURS[2])
    cosine.set_title("mean cosine to the own class centre", fontsize=10)
    for axes in (loss, cosine):
        axes.set_xlabel("step")
        axes.grid(True, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
