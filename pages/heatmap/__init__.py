"""Which words an answer hangs on, as coloured text: turns explanations into plain data and draws them."""

from pathlib import Path
from typing import Any

import streamlit as st

from detox_core.figures.colors import COLORS
from detox_core.figures.steps import leading, marked
from detox_core.types import BUCKETS, Comparison

FOLDER = Path(__file__).parent
DIGITS = 4  # of a share sent to the browser

_draw = st.components.v2.component(
    "detox_heatmap",
    html=(FOLDER / "heatmap.html").read_text(encoding="utf-8"),
    css=(FOLDER / "heatmap.css").read_text(encoding="utf-8"),
    js=(FOLDER / "heatmap.js").read_text(encoding="utf-8"),
)


def show_heatmap(record: Comparison, found: Any, theme: str, *, unit: str, difference: bool, blur: bool) -> None:
    """Draw one row per variant; `found` is a `Why`."""
    _draw(data={**heatmap_data(record, found, theme, unit=unit, difference=difference), "blur": blur}, key="heatmap")


def heatmap_data(record: Comparison, found: Any, theme: str, *, unit: str = "words", difference: bool = False) -> dict[str, Any]:
    """What the component draws, as JSON types."""
    rows = []
    for index, variant in enumerate(record.variants):
        row: dict[str, Any] = {"id": variant.id, "label": variant.label, "color": COLORS[theme][index % len(COLORS[theme])]}
        if variant.id in found.errors:
            rows.append({**row, "error": found.errors[variant.id]})
            continue
        explanation = found.explanations[variant.id]
        texts, prompt, own, matrix = explanation.merged(unit)
        reply = record.of(explanation.answer_of)[0]
        toxic = marked(texts[:prompt], record.prompt_spans, "".join(texts[:prompt]).rfind(record.prompt))
        if reply.spans or not (reply.score and reply.score.value > BUCKETS[0][1]):
            toxic += marked(texts[prompt:], reply.spans, leading(texts[prompt:]))
        else:
            toxic += [True] * (len(texts) - prompt)  # toxic as a whole, by no single word
        shares = [[round(float(value), DIGITS) for value in line] for line in matrix]
        start = first_word(texts[prompt:], toxic[prompt:])
        rows.append({**row, "words": texts, "prompt": prompt, "own": own, "toxic": toxic, "matrix": shares, "start": start})
    together = found.answer_of is not None
    signature = f"{record.id} {found.answer_of} {unit}"
    return {"rows": rows, "together": together, "difference": difference and together, "signature": signature}


def first_word(texts: list[str], toxic: list[bool]) -> int:
    """The answer word that is looked at first: the first toxic one, else the first that is a word."""
    if any(toxic):
        return toxic.index(True)
    return next((number for number, text in enumerate(texts) if text.strip().isalnum()), 0)
