"""Which words an answer hangs on, as coloured text: turns explanations into plain data and draws them."""

from pathlib import Path
from typing import Any

import streamlit as st

from detox_core.figures.colors import COLORS
from detox_core.types import BUCKETS, Comparison, Span

FOLDER = Path(__file__).parent
DIGITS = 4  # of a share sent to the browser

_draw = st.components.v2.component(
    "detox_heatmap",
    html=(FOLDER / "heatmap.html").read_text(encoding="utf-8"),
    css=(FOLDER / "heatmap.css").read_text(encoding="utf-8"),
    js=(FOLDER / "heatmap.js").read_text(encoding="utf-8"),
)


def show_heatmap(record: Comparison, found: Any, theme: str, *, words: bool, difference: bool, blur: bool) -> None:
    """Draw one row per variant; `found` is a `Why`."""
    _draw(data={**heatmap_data(record, found, theme, words=words, difference=difference), "blur": blur}, key="heatmap")


def heatmap_data(record: Comparison, found: Any, theme: str, *, words: bool = True, difference: bool = False) -> dict[str, Any]:
    """What the component draws, as JSON types."""
    rows = []
    for index, variant in enumerate(record.variants):
        row: dict[str, Any] = {"id": variant.id, "label": variant.label, "color": COLORS[theme][index % len(COLORS[theme])]}
        if variant.id in found.errors:
            rows.append({**row, "error": found.errors[variant.id]})
            continue
        explanation = found.explanations[variant.id]
        texts, prompt, matrix, own = _units(explanation, words=words)
        reply = record.of(explanation.answer_of)[0]
        read, written = "".join(texts[:prompt]), "".join(texts[prompt:])
        toxic = marked(texts[:prompt], record.prompt_spans, read.rfind(record.prompt))
        if reply.spans or not (reply.score and reply.score.value > BUCKETS[0][1]):
            toxic += marked(texts[prompt:], reply.spans, len(written) - len(written.lstrip()))
        else:
            toxic += [True] * (len(texts) - prompt)  # toxic as a whole, by no single word
        shares = [[round(float(value), DIGITS) for value in line] for line in matrix]
        start = first_word(texts[prompt:], toxic[prompt:])
        rows.append({**row, "words": texts, "prompt": prompt, "own": own, "toxic": toxic, "matrix": shares, "start": start})
    together = found.answer_of is not None
    signature = f"{record.id} {found.answer_of} {words}"
    return {"rows": rows, "together": together, "difference": difference and together, "signature": signature}


def marked(texts: list[str], spans: tuple[Span, ...], start: int) -> list[bool]:
    """Which of the texts share a letter with a span; span offsets count from `start` of the joined texts."""
    flags, at = [], -start
    for text in texts:
        flags.append(any(span.start < at + len(text) and at < span.end for span in spans))
        at += len(text)
    return flags


def first_word(texts: list[str], toxic: list[bool]) -> int:
    """The answer word that is looked at first: the first toxic one, else the first that is a word."""
    if any(toxic):
        return toxic.index(True)
    return next((number for number, text in enumerate(texts) if text.strip().isalnum()), 0)


def _units(explanation: Any, *, words: bool) -> tuple[list[str], int, Any, list[bool]]:
    """Texts, how many belong to the prompt, shares, and which prompt units are the person's own."""
    if not words:
        return list(explanation.pieces), explanation.prompt, explanation.matrix, list(explanation.own)
    texts, prompt, matrix = explanation.words()
    ends, own, at = [], [], 0
    for piece in explanation.pieces[: explanation.prompt]:
        at += len(piece)
        ends.append(at)
    at = 0
    for text in texts[:prompt]:
        at += len(text)
        own.append(any(mine for end, mine in zip(ends, explanation.own, strict=True) if at - len(text) < end <= at))
    return texts, prompt, matrix, own
