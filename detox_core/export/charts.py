"""A page's chart for print: the same Plotly figure, drawn again as vectors that can also be read in grey."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MultipleLocator, NullFormatter, PercentFormatter

from detox_core.export.naming import name_points
from detox_core.export.sheet import INK, POINTS, RULE, SIZE, SMALL, WIDTH, printable, save, wrap
from detox_core.figures.strip import SYMBOLS

PIXELS = 125  # of a page's chart to the inch of print
HEIGHTS = (1.6, 8.6)  # inches, at least and at most
DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": (0, (5, 2)),
    "dot": (0, (1, 1.4)),
    "dashdot": (0, (5, 1.5, 1, 1.5)),
    "longdash": (0, (9, 2)),
    "longdashdot": (0, (9, 2, 1, 2)),
}
KINDS = {"scatter", "histogram", "bar", "box", "heatmap"}
MARKERS = {"circle": "o", "diamond": "D", "square": "s", "triangle-up": "^", "cross": "P", "x": "X"}
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++")
LOW_PANEL = 70  # points of height, below which type is smaller
MARKED = 8  # about as many markers along a line that has none on the page, to tell lines apart in grey


def print_chart(chart: go.Figure) -> Figure:
    """The chart as a figure for print.

    Args:
        chart: of `detox_core.figures`, in light colours: lines with bands, markers, bars, histograms, boxes, heatmaps; several charts
            above each other; straight lines across; labels at points.

    Raises:
        NotImplementedError: another kind of trace.
    """
    if strange := {trace.type for trace in chart.data} - KINDS:
        raise NotImplementedError(f"A chart of the kind {', '.join(strange)} cannot be printed.")
    places = list(dict.fromkeys((trace.xaxis or "x", trace.yaxis or "y") for trace in chart.data)) or [("x", "y")]
    height = min(max((chart.layout.height or 360) / PIXELS, HEIGHTS[0]), HEIGHTS[1])
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = dict(zip(places, figure.subplots(len(places), 1, sharex=len(places) > 1, squeeze=False)[:, 0], strict=True))
    for place, axes in panels.items():
        traces = [trace for trace in chart.data if (trace.xaxis or "x", trace.yaxis or "y") == place]
        _traces(axes, traces, str(chart.layout.barmode or "group"))
        _lines_across(axes, chart, place)
        _scales(axes, chart, place, height * POINTS / len(panels) - (45 if len(panels) == 1 else 14), last=place == places[-1])
        _labels(axes, chart, place)
    if title := chart.layout.title.text:
        panels[places[0]].set_title(printable(title), size=SIZE, loc="left", weight="bold")
    _legend(figure, panels, chart.layout.showlegend)
    named = [trace for trace in chart.data if trace.type == "scatter" and "text" in str(trace.mode or "") and trace.text is not None]
    if named:
        points = [(x, y, printable(text)) for trace in named for x, y, text in zip(trace.x, trace.y, trace.text, strict=True)]
        name_points(figure, panels[places[0]], points)
    return figure


def picture(drawn: go.Figure | Figure, format: str) -> bytes:
    """A page's chart, or a figure that is for print already, as a file; format as for `save`."""
    return save(print_chart(drawn) if isinstance(drawn, go.Figure) else drawn, format)


def _traces(axes: Axes, traces: Sequence[Any], barmode: str) -> None:
    below: Any = None
    floor = np.zeros(0)
    for number, trace in enumerate(traces):
        if trace.type == "scatter":
            _scatter(axes, trace, below, sum(1 for one in traces[:number] if _label(one)))
            below = trace
        elif trace.type == "histogram":
            floor = _histogram(axes, trace, floor if barmode == "stack" else np.zeros(0))
        elif trace.type == "bar":
            _bars(axes, trace, number, len(traces))
        elif trace.type == "box":
            _boxes(axes, trace, number, len(traces))
        else:
            _heatmap(axes, trace)


def _label(trace: Any) -> str:
    return "" if trace.showlegend is False or not trace.name else printable(trace.name)


def _scatter(axes: Axes, trace: Any, below: Any, number: int) -> None:
    xs, ys = _values(trace.x), _values(trace.y)
    mode = str(trace.mode or "lines")
    if trace.fill == "tonexty" and below is not None:
        axes.fill_between(xs, _values(below.y), ys, color=_color(trace.fillcolor), linewidth=0)
    color = _color(trace.line.color or trace.marker.color or INK)
    if "lines" in mode and trace.line.width != 0:
        own = "markers" in mode or not _label(trace)
        marker = "" if own else MARKERS[SYMBOLS[number % len(SYMBOLS)]]
        every = max(1, len(xs) // MARKED)
        how: dict[str, Any] = {"linewidth": 0.65 * (trace.line.width or 2), "linestyle": DASHES[trace.line.dash or "solid"]}
        axes.plot(xs, ys, color=color, label=_label(trace), marker=marker, markersize=4, markevery=(number % every, every), **how)
    if "markers" in mode:
        _markers(axes, trace, xs, ys, color, "" if "lines" in mode else _label(trace))


def _markers(axes: Axes, trace: Any, xs: Sequence[Any], ys: Sequence[Any], color: Any, label: str) -> None:
    symbols = _each(trace.marker.symbol or "circle", len(xs))
    sizes = _each(trace.marker.size or 6, len(xs))
    for symbol, size in sorted(set(zip(symbols, sizes, strict=True))):
        mine = [at for at in range(len(xs)) if (symbols[at], sizes[at]) == (symbol, size)]
        how: dict[str, Any] = {"facecolor": to_rgba(color, trace.marker.opacity or 1), "edgecolor": INK, "linewidth": 0.4, "zorder": 3}
        axes.scatter([xs[at] for at in mine], [ys[at] for at in mine], s=(0.62 * size) ** 2, marker=MARKERS[symbol], label=label, **how)


def _histogram(axes: Axes, trace: Any, floor: np.ndarray) -> np.ndarray:
    bins = trace.xbins
    edges = np.arange(bins.start, bins.end + bins.size / 2, bins.size)
    counts, _ = np.histogram([value for value in _values(trace.x) if value is not None], edges)
    floor = floor if len(floor) else np.zeros(len(counts))
    hatch = "///" if trace.marker.pattern.shape else ""
    how: dict[str, Any] = {"color": _color(trace.marker.color), "edgecolor": INK, "linewidth": 0.4, "hatch": hatch, "label": _label(trace)}
    axes.bar(edges[:-1], counts, width=0.95 * bins.size, bottom=floor, align="edge", **how)
    axes.set_ylim(0, 1.05 * max((floor + counts).max(), 1))
    return floor + counts


def _bars(axes: Axes, trace: Any, number: int, count: int) -> None:
    lying = trace.orientation == "h"
    names, values = (_values(trace.y), _values(trace.x)) if lying else (_values(trace.x), _values(trace.y))
    at = np.arange(len(names)) + (number - (count - 1) / 2) * 0.8 / count
    colors = [_color(color) for color in _each(trace.marker.color or INK, len(names))]
    bars = axes.barh if lying else axes.bar
    made = bars(at, values, 0.76 / count, color=colors, edgecolor=INK, linewidth=0.4, hatch=HATCHES[number % 6], label=_label(trace))
    error = trace.error_x if lying else trace.error_y
    if error.array is not None:
        low = error.array if error.arrayminus is None else error.arrayminus
        span = (low, error.array)
        x, y = (values, at) if lying else (at, values)
        axes.errorbar(x, y, xerr=span if lying else None, yerr=None if lying else span, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
    if trace.text is not None:
        axes.bar_label(made, [printable(text) for text in _each(trace.text, len(names))], size=SMALL, padding=2, parse_math=False)
    plain = [printable(re.sub(r"</?b>", "", name)) for name in names]
    (axes.set_yticks if lying else axes.set_xticks)(range(len(names)), plain)


def _boxes(axes: Axes, trace: Any, number: int, count: int) -> None:
    stats = [
        {"whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high}
        for low, first, middle, third, high in zip(trace.lowerfence, trace.q1, trace.median, trace.q3, trace.upperfence, strict=True)
    ]
    at = np.asarray(trace.x, float) + (number - (count - 1) / 2) * 0.8 / count
    color = to_rgba(_color(trace.marker.color), 0.5)
    look: dict[str, Any] = {"facecolor": color, "linewidth": 0.6, "hatch": HATCHES[number % 6], "edgecolor": INK}
    thin: dict[str, Any] = {"linewidth": 0.6, "color": INK}
    drawn = axes.bxp(
        stats,
        positions=at,
        widths=0.7 / count,
        patch_artist=True,
        showfliers=False,
        manage_ticks=False,
        boxprops=look,
        medianprops={**thin, "linewidth": 1.2},
        whiskerprops=thin,
        capprops=thin,
    )
    drawn["boxes"][0].set_label(_label(trace))


def _heatmap(axes: Axes, trace: Any) -> None:
    grid = np.ma.masked_invalid(np.array(trace.z, dtype=float))
    mesh = axes.pcolormesh(grid, cmap="Oranges", vmin=0, edgecolors="white", linewidth=0.3)
    size = min(SMALL, 360 / max(grid.shape))
    axes.set_xticks(np.arange(grid.shape[1]) + 0.5, [printable(name) for name in trace.x], size=size, rotation=60, ha="left")
    axes.set_yticks(np.arange(grid.shape[0]) + 0.5, [printable(name) for name in trace.y], size=size)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    bar = axes.figure.colorbar(mesh, ax=axes, shrink=0.6, aspect=30, pad=0.02)
    bar.set_label(printable(trace.colorbar.title.text or ""), size=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def _lines_across(axes: Axes, chart: go.Figure, place: tuple[str, str]) -> None:
    for shape in chart.layout.shapes:
        across, up = str(shape.xref or "x").split(), str(shape.yref or "y").split()
        how: dict[str, Any] = {
            "color": _color(shape.line.color or RULE),
            "linewidth": 0.8,
            "linestyle": DASHES[shape.line.dash or "solid"],
            "zorder": 1,
        }
        if across[0] == place[0] and len(across) == 1 and shape.x0 == shape.x1:
            axes.axvline(shape.x0, **how)
        elif up[0] == place[1] and len(up) == 1 and shape.y0 == shape.y1:
            upside = chart.data and chart.data[0].type == "heatmap"
            axes.axhline(shape.y0 + (0.5 if upside else 0), **how)


def _scales(axes: Axes, chart: go.Figure, place: tuple[str, str], high: float, last: bool) -> None:
    """Titles, ticks and ranges; `high`: points there are for the title of the value axis."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    if chart.data and chart.data[0].type == "heatmap":
        axes.invert_yaxis()
        return
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    across, up = (chart.layout[f"{name[0]}axis{name[1:]}"] for name in place)
    if last:
        axes.set_xlabel(printable(across.title.text or ""), size=SIZE)
    size = SIZE if high > LOW_PANEL else 8
    title = printable(up.title.text or "")
    axes.set_ylabel("\n".join(title[start:end] for start, end in wrap(title, high, size)[0]), size=size)
    for scale, name in ((across, "x"), (up, "y")):
        _scale(axes, scale, name)


def _scale(axes: Axes, scale: Any, name: str) -> None:
    line = axes.xaxis if name == "x" else axes.yaxis
    if scale.type == "log":
        (axes.set_xscale if name == "x" else axes.set_yscale)("log")
        line.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        line.set_major_formatter(FormatStrFormatter("%g"))
        line.set_minor_formatter(NullFormatter())
    if scale.range is not None:
        (axes.set_xlim if name == "x" else axes.set_ylim)(*scale.range)
    elif scale.autorange == "reversed":
        axes.invert_yaxis()
    elif scale.rangemode == "tozero" and scale.type != "log":
        (axes.set_xlim if name == "x" else axes.set_ylim)(0 if name == "y" else min(0.0, axes.get_xlim()[0]))
    if scale.tickvals is not None:
        line.set_ticks(list(scale.tickvals), [printable(text) for text in scale.ticktext], size=SIZE)
    elif scale.tickformat == ".0%":
        line.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    elif scale.dtick:
        line.set_major_locator(MultipleLocator(float(scale.dtick)))


def _labels(axes: Axes, chart: go.Figure, place: tuple[str, str]) -> None:
    """Plotly's annotations: at a point, or at the end of a line across."""
    for note in chart.layout.annotations:
        if (note.xref or "x").split()[0] != place[0] or (note.yref or "y").split()[0] != place[1]:
            continue
        bold = re.fullmatch(r"<b>(.*)</b>", note.text, re.DOTALL)
        where = ("data", "axes fraction") if "domain" in (note.yref or "") else "data"
        how: dict[str, Any] = {
            "color": _color(note.font.color or INK),
            "weight": "bold" if bold else "normal",
            "size": SIZE if bold else SMALL,
        }
        sides: dict[str, Any] = {"ha": note.xanchor or "center", "va": {"bottom": "bottom", "top": "top"}.get(note.yanchor, "center")}
        shift = ((note.xshift or 0) * 0.7, (note.yshift or 0) * 0.7)
        text = printable(bold[1] if bold else note.text)
        axes.annotate(text, (note.x, note.y), shift, xycoords=where, textcoords="offset points", parse_math=False, **how, **sides)


def _legend(figure: Figure, panels: dict[tuple[str, str], Axes], wanted: bool | None) -> None:
    found = {label: handle for axes in panels.values() for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    found = {label: handle for label, handle in found.items() if label}
    if wanted is False or (wanted is None and len(found) < 2):
        return
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=min(4, len(found)), frameon=False, fontsize=8)


def _values(given: Any) -> list[Any]:
    return [] if given is None else [np.nan if value is None else value for value in given]


def _each(given: Any, count: int) -> list[Any]:
    return [given] * count if isinstance(given, str | int | float) else list(given)


def _color(given: str) -> Any:
    """A colour as Plotly writes it."""
    parts = re.fullmatch(r"rgba\((\d+), ?(\d+), ?(\d+), ?([\d.]+)\)", given)
    if parts:
        red, green, blue, opacity = map(float, parts.groups())
        return (red / 255, green / 255, blue / 255, opacity)
    return to_rgb(given)
