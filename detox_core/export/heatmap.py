"""Which words an answer hangs on, for print: a shade and an underline behind each word, so that it can also be read in grey."""

from typing import Any, Literal

from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from detox_core.export.sheet import INK, LEADING, QUIET, RULE, SIZE, SMALL, Sheet, printable, width_of

MORE, LESS = "#e66101", "#5e3c99"  # orange, and purple for less than the first model
DARKEST = 0.6  # opacity of the largest share
THICKEST = 2.6  # underline of the largest share, in points
INDENT, LINE, SPACE = 44.0, SIZE * LEADING + 5.5, 2.6  # in points
LINES = 14  # of a prompt or an answer
BLANK = "\N{OPEN BOX}"

Place = int | Literal["first", "all"]


def heatmap_figure(data: dict[str, Any], place: Place = "first") -> Figure:
    """One block per variant, on one scale.

    Args:
        data: of `heatmap_data`.
        place: the answer word looked at, by number from 0; first = each row's own `start`; all = the mean over the whole answer.
    """
    sheet = Sheet()
    rows = [row for row in data["rows"] if "error" not in row]
    shares = [_shares(row, _span(row, place)) for row in rows]
    shown = shares
    if data["difference"] and shares:
        shown = [[value - first for value, first in zip(own, shares[0], strict=True)] for own in shares]
    scale = max([0.01, *(abs(value) for own in shown for value in own)])
    for row, own, values in list(zip(rows, shares, shown, strict=True))[1 if data["difference"] else 0 :]:
        against = f" \N{MINUS SIGN} {rows[0]['label']}" if data["difference"] else ""
        _block(sheet, row, own, [value / scale for value in values], _span(row, place), against)
    for row in data["rows"]:
        if "error" in row:
            sheet.paragraph(0, f"{row['label']}: {row['error']}", sheet.width)
    _legend(sheet, scale, data["difference"], framed=place != "all")
    return sheet.finished()


def _span(row: dict[str, Any], place: Place) -> tuple[int, int]:
    """First and last answer word that are looked at."""
    last = len(row["words"]) - row["prompt"] - 1
    if place == "all":
        return 0, last
    at = min(row["start"] if place == "first" else int(place), last)
    return at, at


def _shares(row: dict[str, Any], span: tuple[int, int]) -> list[float]:
    """Mean share of every word over the span."""
    return [sum(line[span[0] : span[1] + 1]) / (span[1] - span[0] + 1) for line in row["matrix"]]


def _block(sheet: Sheet, row: dict[str, Any], own: list[float], strengths: list[float], span: tuple[int, int], against: str) -> None:
    words, prompt = row["words"], row["prompt"]
    sheet.y += SIZE * LEADING
    sheet.text(0, sheet.y, f"{row['label']}{against}", color=row["color"], weight="bold")
    sheet.y += 1
    sheet.paragraph(0, _told(row, own, span), sheet.width, 8)
    picked = range(prompt + span[0], prompt + span[1] + 1)
    for name, among in (("prompt", range(prompt)), ("answer", range(prompt, len(words)))):
        sheet.text(0, sheet.y + LINE - 1, name, SMALL, QUIET)
        _words(sheet, row, strengths, among, picked if len(picked) < len(words) - prompt else range(0))
    sheet.y += 5
    sheet.line((0, sheet.width), (sheet.y, sheet.y), color=RULE, linewidth=0.5)


def _told(row: dict[str, Any], own: list[float], span: tuple[int, int]) -> str:
    """In words what the shades show."""
    words, prompt = row["words"], row["prompt"]
    order = sorted((at for at, word in enumerate(words) if word.strip()), key=lambda at: -own[at])[:3]
    most = ", ".join(f"\u201c{words[at].strip()}\u201d {own[at]:.2f}" for at in order)
    whole = span == (0, len(words) - prompt - 1)
    of = "the whole answer" if whole else f"\u201c{words[prompt + span[0]].strip()}\u201d"
    return f"Most weight on {of}: {most}. {100 * sum(own[:prompt]):.0f} % of it lies on the prompt."


def _words(sheet: Sheet, row: dict[str, Any], strengths: list[float], among: range, picked: range) -> None:
    x, lines = INDENT, 1
    sheet.y += LINE
    for at in among:
        given = row["words"][at]
        text = _fitting(printable(given).strip() or BLANK, sheet.width - INDENT)
        width = width_of(text)
        gap = SPACE if given[:1].isspace() and x > INDENT else 0.6
        if x + gap + width > sheet.width and x > INDENT:
            if lines == LINES:
                sheet.y += SMALL * LEADING
                sheet.text(INDENT, sheet.y, f"... {among.stop - at:,} more words are left out.", SMALL, QUIET, style="italic")
                return
            x, lines, gap = INDENT, lines + 1, 0.0
            sheet.y += LINE
        x += gap
        _shade(sheet, x, width, strengths[at])
        if at in picked:
            sheet.box(x - 0.5, sheet.y - SIZE - 0.5, width + 1, SIZE + 5, facecolor="none", edgecolor=INK, linewidth=0.9, zorder=4)
        own = at >= row["prompt"] or row["own"][at]
        sheet.text(x, sheet.y - 1, text, color=INK if own else QUIET, zorder=5)
        x += width


def _shade(sheet: Sheet, x: float, width: float, strength: float) -> None:
    """Orange and a solid line for more, purple and a broken one for less; as dark and as thick as it is strong."""
    color, line = (MORE, "-") if strength >= 0 else (LESS, (0, (1.2, 0.8)))
    sheet.box(x, sheet.y - SIZE, width, SIZE + 2, facecolor=to_rgba(color, DARKEST * abs(strength)), linewidth=0)
    if abs(strength) * THICKEST >= 0.25:
        thick = THICKEST * abs(strength)
        sheet.line((x, x + width), (sheet.y + 2 + thick / 2,) * 2, linewidth=thick, linestyle=line)


def _fitting(text: str, width: float) -> str:
    while width_of(text) > width:
        text = f"{text[: int(len(text) * 0.8)]}\N{HORIZONTAL ELLIPSIS}"
    return text


def _legend(sheet: Sheet, scale: float, difference: bool, framed: bool) -> None:
    sheet.y += LINE
    strengths = (-1.0, -0.5, 0.0, 0.5, 1.0) if difference else (0.0, 0.25, 0.5, 0.75, 1.0)
    x = 0.0
    for strength in strengths:
        text = f"{strength * scale:+.2f}" if difference else f"{strength * scale:.2f}"
        text = text.replace("-", "\N{MINUS SIGN}")
        width = width_of(text, 8)
        _shade(sheet, x, width, strength)
        sheet.text(x, sheet.y - 1, text, 8)
        x += width + 6
    said = f"share of the attribution{', less that of the first model' if difference else ''}; one scale for all models"
    sheet.text(x + 4, sheet.y - 1, said, SMALL, QUIET)
    sheet.y += 4
    sheet.paragraph(0, f"{'Framed: the word looked at. ' if framed else ''}Grey: the chat format.", sheet.width)
