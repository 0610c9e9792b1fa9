"""Flows between toxicity buckets as a Sankey diagram: options for ECharts, whose ribbons can be clicked."""

from typing import Any

import pandas as pd

from detox_core.figures.colors import COLORS, RAMPS

ORDER = ("high", "medium", "low", "not scored")  # top to bottom
SHADES = {"high": 4, "medium": 2, "low": 1}
GREY = {"light": "#8a8f98", "dark": "#6b7280"}
TEXT = {"light": "#0f1318", "dark": "#e8eaed"}
PHONE = 520  # pixels; a narrower diagram has its labels in two lines


def bucket_color(bucket: str, theme: str) -> str:
    """The colour of a bucket; grey for what is not scored."""
    return RAMPS[theme][SHADES[bucket]] if bucket in SHADES else GREY[theme]


def nodes_of(ribbons: pd.DataFrame, columns: tuple[str, str, str]) -> list[tuple[int, str]]:
    """Column number and bucket of every node, in the order in which the chart numbers them.

    Args:
        ribbons: columns `before`, `from`, `after`, `to`, `prompts`.
        columns: variants left, middle and right; ribbons come from the middle.
    """
    found = []
    for at, variant in enumerate(columns):
        there = set(ribbons["from"]) if at == 1 else set(ribbons.loc[ribbons["after"] == variant, "to"])
        found += [(at, bucket) for bucket in ORDER if bucket in there]
    return found


def flow_chart(ribbons: pd.DataFrame, columns: tuple[str, str, str], labels: dict[str, str], theme: str = "light") -> dict[str, Any]:
    """Three columns of buckets; every ribbon has the colour of the bucket it comes from, in both halves.

    Args:
        ribbons, columns: as for `nodes_of`.
        labels: of the variants, all different.
        theme: light or dark.
    """
    data, narrow = (_nodes(ribbons, columns, labels, theme, gap) for gap in (" ", "\n"))
    phone = {"data": narrow, "left": 66, "right": 66, "nodeGap": 30, "nodeWidth": 12, "label": {"fontSize": 11, "lineHeight": 13}}
    links = []
    for row in ribbons.to_dict("records"):
        left = row["after"] == columns[0]
        here, there = f"{labels[row['before']]} {row['from']}", f"{labels[row['after']]} {row['to']}"
        ends = (there, here) if left else (here, there)
        style = {"color": bucket_color(row["from"], theme), "opacity": 0.45}
        links.append({"source": ends[0], "target": ends[1], "value": row["prompts"], "lineStyle": style})
    heads = zip((labels[name] for name in columns), ("left", "center", "right"), (("◄ ", ""), ("", ""), ("", " ►")), strict=True)
    return {
        "title": [
            {
                "text": f"{arrow[0]}{label}{arrow[1]}" if label else "",
                "left": place,
                "top": 4,
                "textStyle": {"fontSize": 15, "color": TEXT[theme]},
            }
            for label, place, arrow in heads
        ],
        "tooltip": {"trigger": "item", "formatter": "{b}: {c} prompts"},
        "animation": False,
        "media": [{"query": {"maxWidth": PHONE}, "option": {"series": [phone]}}],
        "series": [
            {
                "type": "sankey",
                "data": data,
                "links": links,
                "left": 112,
                "right": 112,
                "top": 40,
                "bottom": 12,
                "nodeWidth": 16,
                "nodeGap": 20,
                "layoutIterations": 0,
                "draggable": False,
                "selectedMode": "single",
                "emphasis": {"focus": "trajectory"},
                "select": {"itemStyle": {"borderColor": COLORS[theme][1], "borderWidth": 3}, "lineStyle": {"opacity": 0.9}},
                "label": {"fontSize": 13},
            }
        ],
    }


def _nodes(ribbons: pd.DataFrame, columns: tuple[str, str, str], labels: dict[str, str], theme: str, gap: str) -> list[dict[str, Any]]:
    """The buckets with their labels: name, `gap`, prompts and their share."""
    nodes = nodes_of(ribbons, columns)
    totals = {node: total_of(ribbons, columns, *node) for node in nodes}
    everything = sum(count for (at, _), count in totals.items() if at == 1)
    return [
        {
            "name": f"{labels[columns[at]]} {bucket}",
            "depth": at,
            "itemStyle": {"color": bucket_color(bucket, theme), "borderWidth": 0},
            "label": {
                "position": "left" if at == 0 else "right",
                "formatter": f"{bucket}{gap}{totals[at, bucket]:,} ({totals[at, bucket] / everything:.0%})",
                "color": TEXT[theme],
            },
        }
        for at, bucket in nodes
    ]


def total_of(ribbons: pd.DataFrame, columns: tuple[str, str, str], at: int, bucket: str) -> int:
    """How many prompts there are in a node; arguments as for `nodes_of`."""
    if at == 1:
        one_side = ribbons[ribbons["after"] == ribbons["after"].iloc[0]]
        return int(one_side.loc[one_side["from"] == bucket, "prompts"].sum())
    mine = ribbons[(ribbons["after"] == columns[at]) & (ribbons["to"] == bucket)]
    return int(mine["prompts"].sum())
