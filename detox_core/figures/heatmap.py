"""Which words an answer hangs on: explanations as plain data, for the browser and for print."""

from typing import Any

from detox_core.figures.colors import COLORS
from detox_core.figures.steps import leading, marked
from detox_core.types import BUCKETS, Comparison

DIGITS = 4  # of a share


def heatmap_data(record: Comparison, found: Any, theme: str, *, unit: str = "words", difference: bool = False) -> dict[str, Any]:
    """What is drawn, as JSON types: one row per variant, with its words, the shares of each, and the answer word to look at first.

    Args:
        found: a `Why` of the comparison, or what a stage keeps of one.
        theme: light or dark.
        unit: words, tokens or sentences.
        difference: to the first variant, where all explain one and the same answer.
    """
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
    difference = difference and together and "error" not in rows[0]
    for row in rows[1:] if difference else ():
        if "error" not in row and row["words"] != rows[0]["words"]:
            row["error"] = f"It read other words than {rows[0]['label']}, so there is no difference to show."
    signature = f"{record.id} {found.answer_of} {unit}"
    return {"rows": rows, "together": together, "difference": difference, "signature": signature}


def first_word(texts: list[str], toxic: list[bool]) -> int:
    """The answer word that is looked at first: the first toxic one, else the first that is a word."""
    if any(toxic):
        return toxic.index(True)
    return next((number for number, text in enumerate(texts) if text.strip().isalnum()), 0)
