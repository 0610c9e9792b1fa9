"""Figures for print: a thesis' text width, real text in every format, the same bytes at every call. Agg, without pyplot."""

import io
import re
import unicodedata
import warnings
from bisect import bisect_right
from functools import cache, lru_cache, partial
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

WIDTH = 6.3  # inches: the text of an A4 page with margins of an inch
POINTS = 72  # to the inch
SIZE, SMALL = 9, 7  # of type, in points
LEADING = 1.3
INK, QUIET, RULE = "#1d2129", "#555555", "#9aa0a8"
FORMATS = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
NO_DATE: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
FALLBACKS = ("Noto Sans", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Symbols2", "Noto Emoji", "Symbola", "Arial Unicode MS")
FINE = 720  # dots per inch of the measure, where hinting no longer shows

_TRUETYPE = {font.name for font in font_manager.fontManager.ttflist if font.fname.lower().endswith(".ttf")}
# For the process, not by rc_context, which is not safe with threads. Foreign text is never taken for formulas.
matplotlib.rcParams.update(
    {
        "text.parse_math": False,
        "text.usetex": False,
        "text.hinting": "no_hinting",  # so that lines are as long as they were measured
        "svg.fonttype": "none",
        "svg.hashsalt": "detox-lens",
        "pdf.fonttype": 42,
        "font.family": ["DejaVu Sans", *(name for name in FALLBACKS if name in _TRUETYPE), "sans-serif"],
        "font.size": SIZE,
    }
)
warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # it is drawn as a box, which is all that can be done


def save(figure: Figure, format: str) -> bytes:
    """The figure as a file.

    Args:
        format: a key of FORMATS; png at 300 dots per inch, svg and pdf with real text.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format, dpi=300, metadata=NO_DATE[format], facecolor="white")
    return buffer.getvalue()


def printable(text: str) -> str:
    """The text with a space for each character that no file format takes; as long as before."""
    return "".join(" " if unicodedata.category(letter) in ("Cc", "Cs", "Cn") else letter for letter in str(text))


@cache
def _renderer() -> RendererAgg:
    return FigureCanvasAgg(Figure(dpi=FINE)).get_renderer()


@lru_cache(maxsize=4096)
def width_of(text: str, size: float = SIZE, bold: bool = False) -> float:
    """How wide one line of text is, in points; spaces at its end count."""
    font = font_manager.FontProperties(size=size, weight="bold" if bold else "normal")
    # A bar, because no letter moves closer to it.
    both, bar = (_renderer().get_text_width_height_descent(line, font, False)[0] for line in (f"{printable(text)}|", "|"))
    return float(both - bar) * POINTS / FINE


def wrap(text: str, width: float, size: float = SIZE, most: int = 12) -> tuple[list[tuple[int, int]], int]:
    """Where lines begin and end.

    Args:
        text: `printable`.
        width: of a line, in points.
        most: lines; the rest is left out.

    Returns:
        Offsets of the lines, and how many characters are left out.
    """
    lines: list[tuple[int, int]] = []
    longest = int(8 * width / size)  # characters that a line could hold at most
    start = end = 0
    for word in re.finditer(rf"\S{{1,{longest}}}", text):
        if len(lines) == most:
            break
        if width_of(text[start : word.end()], size) <= width:
            end = word.end()
            continue
        if end > start:
            lines.append((start, end))
        start, end = word.span()
        while width_of(text[start:end], size) > width and len(lines) < most:
            fits = bisect_right(range(start + 2, end), width, key=partial(_to, text, start, size))
            lines.append((start, start + 1 + fits))
            start += 1 + fits
    if end > start and len(lines) < most:
        lines.append((start, end))
    return lines, len(text.rstrip()) - lines[-1][1] if lines else 0


def _to(text: str, start: int, size: float, end: int) -> float:
    return width_of(text[start:end], size)


class Sheet:
    """A blank sheet on which things are put from top to bottom; all lengths in points, y downwards."""

    def __init__(self) -> None:
        self.width = WIDTH * POINTS
        self.y = 0.0
        self.figure = Figure(figsize=(WIDTH, 1))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()

    def text(self, x: float, y: float, text: str, size: float = SIZE, color: str = INK, **how: Any) -> None:
        """One line whose baseline is at y; `how` as for matplotlib's Text."""
        self.axes.text(x, y, printable(text), size=size, color=color, parse_math=False, **how)

    def box(self, x: float, y: float, width: float, height: float, **how: Any) -> None:
        """A rectangle whose upper left corner is at (x, y)."""
        self.axes.add_patch(Rectangle((x, y), width, height, **how))

    def line(self, xs: tuple[float, float], ys: tuple[float, float], **how: Any) -> None:
        """A straight line."""
        self.axes.plot(xs, ys, **{"solid_capstyle": "butt", "dash_capstyle": "butt", "color": INK, **how})

    def paragraph(self, x: float, text: str, width: float, size: float = SMALL, color: str = QUIET) -> None:
        """Wrapped lines from the present height, which is moved below them."""
        text = printable(text)
        for start, end in wrap(text, width, size)[0]:
            self.y += size * LEADING
            self.text(x, self.y - 0.3 * size, text[start:end], size, color)

    def finished(self) -> Figure:
        """The figure, as high as what is on it."""
        self.figure.set_size_inches(WIDTH, (self.y + 4) / POINTS)
        self.axes.set(xlim=(0, self.width), ylim=(self.y + 4, 0))
        return self.figure
