"""Verification by group as rows of text."""

from __future__ import annotations

from ..metrics.group_rates import ACROSS, GroupRates, GroupTable
from .tables import align_columns, interval, number, rate_text

__all__ = ["group_rows", "group_summary", "group_text", "group_title", "ratio_texts"]


def group_rows(rates: GroupRates, table: GroupTable) -> list[list[str]]:
    """Return a row for each group and for each pair of groups, the headings first."""
    head = ["group", "same", "different", "accuracy (folds)", "accuracy"]
    head += ["FMR", "95 % interval", "accepted", "FNMR", "95 % interval", "missed"]
    rows = [head]
    for one in table.rates:
        std = rates.fold_accuracy_std.get(one.group)
        folds = f"{rates.fold_accuracy[one.group]:.4f}" + ("" if std is None else f" ± {std:.4f}")
        row = [one.group, str(one.same), str(one.different), folds, f"{one.accuracy:.4f}"]
        row += ["-" if one.fmr is None else rate_text(one.fmr)]
        row += [interval(one.fmr_low, one.fmr_high), str(one.false_matches), number(one.fnmr)]
        rows.append([*row, interval(one.fnmr_low, one.fnmr_high), str(one.false_nonmatches)])
    return rows


def group_title(table: GroupTable) -> str:
    """Return what the table is about: the threshold that all groups share."""
    return (
        f"groups at one threshold, {table.threshold:.4f} (FMR {rate_text(table.target)} over all "
        f"pairs; realised FMR {rate_text(table.fmr)}, FNMR {table.fnmr:.4f})"
    )


def ratio_texts(table: GroupTable) -> list[str]:
    """Return a sentence for each rate about the groups that differ most."""
    found = []
    for name, ratio in (("FMR", table.fmr_ratio), ("FNMR", table.fnmr_ratio)):
        if ratio is None:
            found.append(f"largest ratio of {name} between groups: - (fewer than two have it)")
        elif ratio.ratio is None:
            found.append(f"largest ratio of {name} between groups: - ({ratio.smallest} has 0)")
        else:
            found.append(
                f"largest ratio of {name} between groups: {ratio.ratio:.2f} ({ratio.largest} to "
                f"{ratio.smallest})"
            )
    return found


def group_summary(rates: GroupRates) -> str:
    """Return mean and deviation of the accuracy over the groups, and the worst."""
    groups = [name for name in rates.fold_accuracy if ACROSS not in name] or [*rates.fold_accuracy]
    own = "each with folds of its own" if rates.own_folds else "at the thresholds of the folds"
    return (
        f"accuracy over {len(groups)} groups, {own}: {rates.mean:.4f} ± {rates.std:.4f} (n - 1); "
        f"worst: {rates.worst} ({rates.fold_accuracy[rates.worst]:.4f})"
    )


def group_text(result) -> str:
    """Return the tables of a result with groups as aligned text."""
    name = " ".join(
        filter(None, (result.model, result.name, result.flip and f"flip {result.flip}"))
    )
    blocks = []
    for table in result.groups.tables:
        rows = align_columns(group_rows(result.groups, table))
        lines = [f"{name}: {group_title(table)}", rows, *ratio_texts(table)]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, group_summary(result.groups)])
