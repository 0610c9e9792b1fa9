"""The prompt and its answers as cards: turns a Comparison into plain data and draws it. Text stays text, never HTML."""

import math
from pathlib import Path
from typing import Any

import streamlit as st

from detox_core.figures.colors import COLORS, toxicity_color
from detox_core.types import BUCKETS, Comparison, Generation, Quality, Score, Span, Variant, bucket

FOLDER = Path(__file__).parent
FIT = (FOLDER.parent / "fit.js").read_text(encoding="utf-8")  # for both components that can be large
FINISHES = {"eos": "complete", "turn": "complete", "length": "cut off at the length limit", "stopped": "stopped"}

_draw = st.components.v2.component(
    "detox_answers",
    html=(FOLDER / "answers.html").read_text(encoding="utf-8"),
    css=(FOLDER / "answers.css").read_text(encoding="utf-8"),
    js=(FOLDER / "answers.js").read_text(encoding="utf-8") + FIT,
)


def theme() -> str:
    """light or dark, as the visitor's browser shows it."""
    return "dark" if st.context.theme.type == "dark" else "light"


def show_answers(
    comparison: Comparison, *, blur: bool, writing: bool = False, badge: str = "", large: bool = False, key: str = "answers"
) -> None:
    """Draw the prompt and one card per variant; `large`: for a projector, texts and scores only."""
    _draw(data={**answers_data(comparison, theme(), blur=blur, writing=writing, badge=badge), "large": large}, key=key)


def progress(comparison: Comparison) -> str:
    """How far the longest reply is and how long the rest takes at most, for example "12 of at most 60 tokens, 3 s left at most"."""
    longest = max(comparison.generations, key=lambda reply: len(reply.tokens), default=None)
    if longest is None or not longest.tokens:
        return ""
    done, limit = len(longest.tokens), comparison.decoding.max_new_tokens
    left = longest.seconds / done * (limit - done)
    return f"{done} of at most {limit} tokens" + (f", {left:.0f} s left at most" if left >= 1 else "")


def answers_data(comparison: Comparison, theme: str, *, blur: bool = False, writing: bool = False, badge: str = "") -> dict[str, Any]:
    """What the component draws, as JSON types."""
    prompt = {
        "parts": parts(comparison.prompt, comparison.prompt_spans),
        "judged": comparison.prompt_score is not None,
        "score": score_data(comparison.prompt_score, theme),
    }
    columns = [_column(comparison, variant, index, theme, writing) for index, variant in enumerate(comparison.variants)]
    return {"prompt": prompt, "columns": columns, "blur": blur, "badge": badge, "status": _status(columns, writing)}


def _status(columns: list[dict[str, Any]], writing: bool) -> str:
    """What a screen reader hears."""
    if writing:
        return "The models are writing."
    replies = [(column["label"], column["replies"][0]["score"]) for column in columns if column["replies"]]
    return "Toxicity: " + ", ".join(f"{label} {score['number']}" for label, score in replies if score and score["value"] is not None)


def _column(comparison: Comparison, variant: Variant, index: int, theme: str, writing: bool) -> dict[str, Any]:
    replies = comparison.of(variant.id)
    error = comparison.errors.get(variant.id, "")
    busy = writing and not error and not (replies and replies[0].score)
    state = "failed" if error else ("writing" if replies else "waiting") if busy else ""
    first = next((v for v in comparison.variants if v.id == "it"), comparison.variants[0])
    return {
        "id": variant.id,
        "label": variant.label,
        "about": variant.about,
        "color": COLORS[theme][index % len(COLORS[theme])],
        "state": state,
        "writing": busy,
        "error": error,
        "replies": [_reply(reply, comparison, first, theme) for reply in replies],
    }


def _reply(reply: Generation, comparison: Comparison, first: Variant, theme: str) -> dict[str, Any]:
    rate = len(reply.tokens) / reply.seconds if reply.seconds else 0
    speed = [f"{reply.seconds:.1f} s", f"{rate:.0f} tokens/s"] if reply.seconds else []  # measured replies have no time of their own
    length = [f"{len(reply.tokens)} tokens"] if reply.tokens else []
    foot = ", ".join([*length, *speed, FINISHES[reply.finish]]) if reply.score else ""
    quality = reply.quality
    return {
        "parts": parts(reply.text, reply.spans),
        "judged": reply.score is not None and (bool(reply.spans) or not reply.score.value > BUCKETS[0][1]),
        "score": score_data(reply.score, theme),
        "change": change(reply, comparison, first),
        "foot": foot,
        "fit": fit(quality, first.label) if quality else "",
        "problem": f"Perhaps no answer: {quality.problem}." if quality and quality.problem else "",
    }


def fit(quality: Quality, reference: str) -> str:
    """How near a reply is to its prompt, and how likely to the untuned model; only what is known."""
    parts = [
        "" if math.isnan(quality.similarity) else f"similarity to the prompt {quality.similarity:.2f}",
        "" if math.isnan(quality.perplexity) else f"perplexity under {reference} {quality.perplexity:.3g}",
    ]
    return ", ".join(part for part in parts if part).replace("-", "\N{MINUS SIGN}")


def change(reply: Generation, comparison: Comparison, first: Variant) -> str:
    """Difference to IT's reply (without IT: the first column's) of the same sample number, for example "-0.42 against IT"."""
    others = [other for other in comparison.of(first.id) if other.sample == reply.sample]
    if reply.variant == first.id or not others or not (reply.score and reply.score.scored and others[0].score and others[0].score.scored):
        return ""
    return f"{reply.score.value - others[0].score.value:+.2f} against {first.label}".replace("-", "\N{MINUS SIGN}")


def score_data(score: Score | None, theme: str) -> dict[str, Any] | None:
    """A score as the meter shows it; None while there is none yet."""
    if score is None:
        return None
    if not score.scored:
        return {"value": None, "reason": score.reason}
    return {
        "value": score.value,
        "number": f"{score.value:.2f}",
        "bucket": f"{bucket(score.value)} toxicity",
        "color": toxicity_color(score.value, theme),
        "also": score.also,
    }


def parts(text: str, spans: tuple[Span, ...]) -> list[list[str | None]]:
    """The text cut at its marked words: `[piece, why it is marked or None]`, in order."""
    pieces: list[list[str | None]] = []
    at = 0
    for span in spans:
        pieces += [[text[at : span.start], None], [text[span.start : span.end], f"without it the log-odds fall by {span.weight:.1f}"]]
        at = span.end
    return [piece for piece in [*pieces, [text[at:], None]] if piece[0]]
