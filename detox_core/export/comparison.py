"""A comparison for print: the prompt, every answer, and how toxic each is."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from detox_core.export.report import made
from detox_core.export.sheet import INK, LEADING, QUIET, RULE, SIZE, SMALL, Sheet, printable, width_of, wrap
from detox_core.figures.colors import COLORS, toxicity_color
from detox_core.types import Comparison, Score, Span, bucket

SHOWN = 5  # replies of a variant
LINES = 10  # of a text
LEFT, RIGHT, GAP = 52.0, 92.0, 9.0  # widths of the labels and of the bars, and between them, in points
MARK = "#f9d9d5"


def comparison_figure(record: Comparison) -> Figure:
    """The prompt and one row per reply, toxic words underlined, with a bar for each score."""
    sheet = Sheet()
    _row(sheet, "Prompt", INK, record.prompt, record.prompt_spans, record.prompt_score)
    for at, variant in enumerate(record.variants):
        color, replies = COLORS["light"][at % 6], record.of(variant.id)
        if variant.id in record.errors:
            _row(sheet, variant.label, color, record.errors[variant.id], (), None)
        for number, reply in enumerate(replies[:SHOWN]):
            _row(sheet, "" if number else variant.label, color, reply.text or "(empty)", reply.spans, reply.score, rule=not number)
        if len(replies) > SHOWN:
            _more(sheet, [reply.score for reply in replies])
    sheet.y += 4
    sheet.paragraph(0, f"{made(record)} Bars: probability that a rater would call the text toxic.", sheet.width)
    return sheet.finished()


def _row(sheet: Sheet, label: str, color: str, text: str, spans: Sequence[Span], score: Score | None, rule: bool = True) -> None:
    top = sheet.y
    if rule and top:
        sheet.line((0, sheet.width), (top, top), color=RULE, linewidth=0.5)
    width = sheet.width - LEFT - RIGHT - 2 * GAP
    text = printable(text)
    lines, left_out = wrap(text, width, most=LINES)
    sheet.y += 3
    for start, end in lines:
        sheet.y += SIZE * LEADING
        _line(sheet, LEFT + GAP, sheet.y - 3, text, start, end, spans)
    if left_out:
        sheet.y += SMALL * LEADING
        sheet.text(LEFT + GAP, sheet.y - 2, f"... {left_out:,} more characters are left out.", SMALL, QUIET, style="italic")
    sheet.y += 5
    if label:
        sheet.text(0, top + SIZE * LEADING, _fitting(label), color=color, weight="bold")
    if score is not None:
        sheet.y = max(sheet.y, top + 28)
        _bar(sheet, top + 5, score)


def _line(sheet: Sheet, x: float, y: float, text: str, start: int, end: int, spans: Sequence[Span]) -> None:
    for span in spans:
        first, last = max(span.start, start), min(span.end, end)
        if first < last:
            at, wide = width_of(text[start:first]), width_of(text[first:last])
            sheet.box(x + at, y - SIZE * 0.85, wide, SIZE * 1.1, facecolor=MARK, linewidth=0)
            sheet.line((x + at, x + at + wide), (y + 2, y + 2), linewidth=1)
    sheet.text(x, y, text[start:end])


def _fitting(label: str) -> str:
    kept = next(length for length in range(len(label), 0, -1) if width_of(label[:length], SIZE, bold=True) <= LEFT)
    return label if kept == len(label) else f"{label[: kept - 1]}\N{HORIZONTAL ELLIPSIS}"


def _bar(sheet: Sheet, y: float, score: Score) -> None:
    x = sheet.width - RIGHT - 1
    if not score.scored:
        sheet.text(x, y + 6, "not scored", SMALL, QUIET)
        return
    sheet.box(x, y, RIGHT, 7, facecolor="white", edgecolor=INK, linewidth=0.5)
    sheet.box(x, y, RIGHT * score.value, 7, facecolor=toxicity_color(score.value), edgecolor=INK, linewidth=0.5)
    sheet.text(x, y + 17, f"{score.value:.2f}, {bucket(score.value)}", 8)


def _more(sheet: Sheet, scores: Sequence[Score | None]) -> None:
    known = [score.value for score in scores if score and score.scored]
    mean = f" Mean toxicity of {len(known)} scored replies: {sum(known) / len(known):.2f}." if known else ""
    sheet.paragraph(LEFT + GAP, f"{len(scores) - SHOWN} more replies are left out.{mean}", sheet.width - LEFT - GAP)
    sheet.y += 4
