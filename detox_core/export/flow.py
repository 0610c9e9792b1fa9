"""Flows between toxicity buckets for print: three columns of buckets, joined by ribbons as wide as the prompts they stand for."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from detox_core.export.sheet import INK, Sheet
from detox_core.figures.flows import bucket_color, nodes_of, total_of

HEIGHT, GAP = 200.0, 14.0  # of all prompts, and between two buckets, in points
TOP = 26.0
BAR, MARGIN = 12.0, 100.0  # width of a bucket, and of the labels beside the outer ones
HATCHES = {"high": "", "medium": "", "low": "", "not scored": "////"}


def flow_figure(ribbons: pd.DataFrame, columns: tuple[str, str, str], labels: dict[str, str]) -> Figure:
    """The diagram of the page Flows; arguments as for `flow_chart`."""
    sheet = Sheet()
    nodes = nodes_of(ribbons, columns)
    totals = {node: total_of(ribbons, columns, *node) for node in nodes}
    everything = sum(count for (at, _), count in totals.items() if at == 1)
    scale = HEIGHT / everything
    xs = (MARGIN, (sheet.width - BAR) / 2, sheet.width - MARGIN - BAR)
    tops: dict[tuple[int, str], float] = {}
    for at, name in enumerate(columns):
        y = TOP
        for _, bucket in (node for node in nodes if node[0] == at):
            tops[at, bucket] = y
            y += totals[at, bucket] * scale + GAP
        sheet.y = max(sheet.y, y)
        if name:
            heading = f"{'◄ ' if at == 0 else ''}{labels[name]}{' ►' if at == 2 else ''}"
            sheet.text(xs[at] + BAR / 2, 12, heading, weight="bold", ha="center")
    _ribbons(sheet, ribbons, columns, nodes, tops, xs, scale)
    for (at, bucket), y in tops.items():
        count = totals[at, bucket]
        height = max(count * scale, 0.5)
        look: dict[str, Any] = {"facecolor": bucket_color(bucket, "light"), "edgecolor": INK, "linewidth": 0.5, "hatch": HATCHES[bucket]}
        sheet.box(xs[at], y, BAR, height, zorder=3, **look)
        side, x = ("right", xs[at] - 4) if at == 0 else ("left", xs[at] + BAR + 4)
        halo = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6} if at == 1 else None
        told = f"{bucket} {count:,} ({count / everything:.0%})"
        sheet.text(x, y + height / 2, told, 8, ha=side, va="center_baseline", bbox=halo, zorder=4)
    return sheet.finished()


def _ribbons(
    sheet: Sheet,
    ribbons: pd.DataFrame,
    columns: tuple[str, str, str],
    nodes: list[tuple[int, str]],
    tops: dict[tuple[int, str], float],
    xs: tuple[float, float, float],
    scale: float,
) -> None:
    """Ribbons leave and reach their buckets in the order of the buckets at their other end, so that few cross."""
    rank = {node: place for place, node in enumerate(nodes)}
    for side in (0, 2):
        mine = ribbons[ribbons["after"] == columns[side]]
        order = sorted(mine.to_dict("records"), key=lambda row: (rank[1, row["from"]], rank[side, row["to"]]))
        here = {node: top for node, top in tops.items() if node[0] == 1}
        there = {node: top for node, top in tops.items() if node[0] == side}
        for row in order:
            width, source, target = row["prompts"] * scale, (1, row["from"]), (side, row["to"])
            ends = (xs[1], xs[0] + BAR) if side == 0 else (xs[1] + BAR, xs[2])
            shape = _ribbon(ends, here[source], there[target], width)
            color = bucket_color(row["from"], "light")
            sheet.axes.add_patch(PathPatch(shape, facecolor=color, alpha=0.5, linewidth=0, zorder=1))
            sheet.axes.add_patch(PathPatch(shape, facecolor="none", edgecolor=INK, linewidth=0.25, zorder=2))
            here[source] += width
            there[target] += width


def _ribbon(ends: tuple[float, float], start: float, stop: float, width: float) -> Path:
    """Two Bezier curves and the straight ends between them."""
    (left, right), middle = ends, sum(ends) / 2
    there = [(left, start), (middle, start), (middle, stop), (right, stop)]
    back = [(right, stop + width), (middle, stop + width), (middle, start + width), (left, start + width)]
    curve = [Path.CURVE4] * 3
    return Path([*there, *back, (left, start)], [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY])
