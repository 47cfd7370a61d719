"""Draws _static/partial_fc.svg and writes results/partial_fc_plan.csv. Run it by hand from docs/.

The sizes are those of `gluonface bench head --plan C D N RANKS R`; nothing is measured. Given files
that `gluonface bench head --sample-rate R ... --json FILE` wrote, it writes
results/partial_fc_measured.csv of them instead: what was measured, and what is predicted.
"""

import csv
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

# what, classes, embedding size, images in a step, ranks, sample rate, options
SIZES = (
    ("MS1MV3", 93_431, 512, 1024, 8, 1.0, {}),
    ("Glint360K", 360_232, 512, 1024, 8, 1.0, {}),
    ("Glint360K", 360_232, 512, 1024, 8, 0.1, {}),
    ("WebFace42M", 2_059_906, 512, 4096, 32, 0.2, {}),
    ("10 million", 10_000_000, 512, 1024, 8, 0.1, {}),
    ("29 million", 29_000_000, 512, 1024, 8, 1.0, {}),
    ("29 million", 29_000_000, 512, 1024, 8, 0.1, {}),
    ("29 million", 29_000_000, 512, 1024, 8, 0.1, {"centers": "disk"}),
    ("29 million", 29_000_000, 512, 1024, 8, 0.1, {"wire_dtype": "float16"}),
    ("100 million", 100_000_000, 512, 8192, 64, 0.1, {}),
)


def plan_rows():
    """Return the header and the rows of the table of predicted sizes."""
    from gluonface.head.memory_estimate import estimate_head

    sizes = ("stored, GiB", "in a step, GiB", "memory, GiB", "sent, MiB")
    rows = [("set", "classes", "ranks", "images", "rate", *sizes)]
    for what, classes, size, images, ranks, rate, options in SIZES:
        plan = estimate_head(classes, size, images, ranks, rate, **options)
        where = " (disk)" if plan.on_disk else ""
        wire = " (float16)" if "wire_dtype" in options else ""
        rows.append(
            (
                what,
                f"{classes:,}",
                ranks,
                images,
                f"{rate:g}",
                f"{(plan.weight + plan.state) / 2**30:.2f}{where}",
                f"{(plan.copies + plan.logits) / 2**30:.2f}",
                f"{plan.memory / 2**30:.2f}",
                f"{plan.sent / 2**20:.1f}{wire}",
            )
        )
    return rows


def draw(path):
    """Draw the picture of a step on two ranks."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyArrowPatch, Rectangle

    matplotlib.rcParams["svg.hashsalt"] = "partial fc"
    matplotlib.rcParams["svg.fonttype"] = "none"
    figure, axes = plt.subplots(figsize=(9, 4.6))
    axes.set_xlim(0, 18)
    axes.set_ylim(0, 9.2)
    axes.axis("off")
    blue, orange, grey, green = "#3b6ea5", "#d9822b", "#d5d9de", "#4c9a5b"
    for rank, base in ((0, 5.0), (1, 0.6)):
        axes.text(0.1, base + 3.1, f"rank {rank}", weight="bold", fontsize=11)
        axes.add_patch(Rectangle((0.2, base), 1.8, 2.6, fc=grey, ec="0.4"))
        axes.text(1.1, base + 1.3, f"images\n{rank + 1} of 2", ha="center", va="center")
        axes.add_patch(Rectangle((2.9, base + 0.5), 2.0, 1.6, fc="#eef1f5", ec="0.4"))
        axes.text(3.9, base + 1.3, "backbone\n(same on all)", ha="center", va="center", fontsize=8)
        own = blue if rank == 0 else green
        for part in range(2):  # the gathered embeddings
            axes.add_patch(
                Rectangle(
                    (6.6, base + 1.3 * (1 - part)),
                    0.9,
                    1.3,
                    fc=blue if part == 0 else green,
                    ec="white",
                    alpha=0.85,
                )
            )
        axes.text(7.05, base + 2.8, "embeddings\nof all ranks", ha="center", fontsize=8.5)
        chosen = {0: (0, 3, 4, 8), 1: (2, 5, 7, 9)}[rank]
        for row in range(10):
            axes.add_patch(
                Rectangle(
                    (9.6, base + 0.26 * (9 - row)),
                    2.2,
                    0.22,
                    fc=orange if row in chosen else grey,
                    ec="none",
                )
            )
        axes.text(
            10.7,
            base + 2.8,
            "centres of its classes\n" + ("(first half)", "(second half)")[rank],
            ha="center",
            fontsize=8.5,
        )
        axes.add_patch(Rectangle((13.9, base), 1.7, 2.6, fc="#fbe6cf", ec=orange))
        axes.text(
            14.75,
            base + 1.3,
            "logits to\nsampled\nclasses",
            ha="center",
            va="center",
            fontsize=8,
        )
        for x0, x1 in ((2.0, 2.9), (4.9, 6.6), (7.5, 9.6), (11.8, 13.9)):
            axes.add_patch(
                FancyArrowPatch(
                    (x0, base + 1.3),
                    (x1, base + 1.3),
                    arrowstyle="-|>",
                    mutation_scale=11,
                    color="0.3",
                )
            )
        axes.add_patch(
            FancyArrowPatch(
                (15.6, base + 1.3), (16.6, 4.6), arrowstyle="-|>", mutation_scale=11, color=own
            )
        )
    axes.add_patch(
        FancyArrowPatch(
            (5.7, 2.1), (5.7, 6.1), arrowstyle="<|-|>", mutation_scale=13, color="0.2", lw=1.6
        )
    )
    axes.text(5.55, 4.2, "allgather", rotation=90, ha="right", va="center", fontsize=9)
    axes.text(16.75, 4.6, "one softmax:\nmaxima and\nsums agreed", va="center", fontsize=9)
    axes.text(
        9.6,
        0.05,
        "orange: sampled in this step, all classes of the batch among them",
        fontsize=8.5,
        color="0.3",
    )
    figure.savefig(
        path, facecolor="white", format="svg", bbox_inches="tight", metadata={"Date": None}
    )
    return path


def measured_rows(paths):
    """Return the header and the rows of the table of predicted and measured sizes."""
    from gluonface.head.memory_estimate import estimate_head

    sizes = ("predicted, GiB", "measured, GiB", "off by, %", "sent, KiB: predicted, counted")
    rows = [("centres", "classes", "D", "rate", "optimizer", *sizes)]
    for path in paths:
        (r,) = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["steps"]
        sizes = (r["classes"], r["embedding_size"], r["batch_size"] * r["ranks"], r["ranks"])
        options = (r["sample_rate"], r["optimizer"], r["centers"], r["wire_dtype"])
        plan = estimate_head(*sizes, *options)
        rows.append(
            (
                r["centers"],
                f"{r['classes']:,}",
                r["embedding_size"],
                f"{r['sample_rate']:g}",
                r["optimizer"],
                f"{plan.memory / 2**30:.2f}",
                f"{r['peak'] / 2**30:.2f}",
                f"{100 * (plan.memory / r['peak'] - 1):+.1f}",
                f"{plan.sent / 1024:.1f}, {r['sent'] / 1024:.1f}",
            )
        )
    return rows


def write(name, rows):
    """Write a table of docs/results."""
    with open(HERE / "results" / name, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    if sys.argv[1:]:
        write("partial_fc_measured.csv", measured_rows(sys.argv[1:]))
    else:
        draw(HERE / "_static/partial_fc.svg")
        write("partial_fc_plan.csv", plan_rows())
