"""Names beside points, each where it covers the least."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from detox_core.export.sheet import POINTS, QUIET, SMALL, width_of

Box = tuple[float, float, float, float]  # left, bottom, right, top, in points
AWAY = (6.0, 14.0, 22.0)  # points between a name and its point, tried in turn
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
MARKER = 4.5  # half of a marker, in points


def name_points(figure: Figure, axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write a name beside each point, with a thin line where it had to go far.

    Args:
        points: x, y and name.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what is placed now must stay there
    unit = figure.dpi / POINTS
    at = axes.transData.transform([(x, y) for x, y, _ in points]) / unit
    taken: list[Box] = [(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in at]
    left, bottom, right, top = (float(edge) / unit for edge in axes.get_window_extent().extents)
    for (x, y, name), place in zip(points, at, strict=True):
        box, shift, away = _freest(name, place, taken, (left, bottom, right, top))
        taken.append(box)
        line = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 3} if away > AWAY[0] else None
        how: dict[str, Any] = {"ha": "center", "va": "center", "size": SMALL, "parse_math": False}
        axes.annotate(name, (x, y), shift, textcoords="offset points", arrowprops=line, **how)


def _freest(name: str, place: Sequence[float], taken: Sequence[Box], frame: Box) -> tuple[Box, tuple[float, float], float]:
    """Where a name covers the least of what is there and of what is outside: its box, its shift, and how far it is."""
    width, height = width_of(name, SMALL), 1.2 * SMALL
    options = []
    for away in AWAY:
        for across, up in SIDES:
            shift = (across * (width / 2 + away), up * (height / 2 + away - 2 * abs(across)))
            x, y = place[0] + shift[0], place[1] + shift[1]
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            outside = width * height - _shared(box, frame)
            options.append((sum(_shared(box, other) for other in taken) + 3 * outside + away / 50, box, shift, away))
    return min(options, key=lambda option: option[0])[1:]


def _shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0
