"""One measure along the answer: a line per variant over the generated tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS
from detox_core.types import Comparison, Span

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def _divergence(explanation: Any, first: Any) -> np.ndarray:
    """From the first model's attribution; not a number where that read other words, or there is none."""
    alike = first is not None and first.pieces == explanation.pieces
    return explanation.divergence(first) if alike else explanation.entropy() * np.nan


@dataclass(frozen=True)
class Measure:
    """A number per answer token.

    `of(explanation, likelihood, row, first)`: `row` is the variant's place among the readers, `first` the first variant's explanation of
    the same answer (None where each explains its own).
    """

    label: str
    axis: str
    about: str
    of: Callable[[Any, Any, int, Any], np.ndarray]


MEASURES = {
    "dependence": Measure(
        "Prompt dependence",
        "share of the attribution on the prompt",
        "How much of each token's attribution lies on the prompt, not on the answer so far. It falls in every model as the answer grows.",
        lambda explanation, _likelihood, _row, _first: explanation.dependence(),
    ),
    "entropy": Measure(
        "Attribution entropy, relative",
        "entropy over the prompt / largest possible",
        "How evenly the attribution is spread over the prompt: 1 = over all tokens alike, 0 = all on one token.",
        lambda explanation, _likelihood, _row, _first: explanation.entropy(relative=True),
    ),
    "entropy_bits": Measure(
        "Attribution entropy, bits",
        "entropy over the prompt, bits",
        "As in Scalena et al. 2023. Longer prompts have higher values, so compare models on one prompt, not prompts.",
        lambda explanation, _likelihood, _row, _first: explanation.entropy(),
    ),
    "effective": Measure(
        "Effective prompt tokens",
        "2 to the attribution entropy, tokens",
        "Over how many prompt tokens the attribution is spread, as if evenly: 2 to the power of its entropy in bits.",
        lambda explanation, _likelihood, _row, _first: explanation.effective(),
    ),
    "reading": Measure(
        "Other reading of the prompt than the first model",
        "KL(attribution || first model's), bits",
        "How differently the attribution is spread over the prompt; 0 = as in the first model. Only on one and the same answer.",
        lambda explanation, _likelihood, _row, first: _divergence(explanation, first),
    ),
    "predictive": Measure(
        "Predictive entropy",
        "entropy of the next token, nats",
        "How unsure the model is of each token, at temperature 1, whatever the answer was sampled with.",
        lambda _explanation, likelihood, row, _first: likelihood.entropy[row],
    ),
    "logprob": Measure(
        "Log-probability",
        "log-probability of the token, nats",
        "How likely the model finds each token of the answer; 0 = certain. On one and the same answer, the models can be compared.",
        lambda _explanation, likelihood, row, _first: likelihood.logprobs[row],
    ),
    "divergence": Measure(
        "Divergence from the first model",
        "KL(model || first model), nats",
        "How far the model's next-token distribution is from the first model's at the same place; 0 = the same.",
        lambda _explanation, likelihood, row, _first: likelihood.divergence[row],
    ),
}


def steps_frame(record: Comparison, found: Any, measure: str) -> pd.DataFrame:
    """Columns variant (label), token (number from 1), text, toxic (whether the scorer marked it), value; what failed is left out.

    Args:
        found: a `Why` of the comparison.
        measure: a key of MEASURES.
    """
    rows = []
    first = found.explanations.get(record.variants[0].id) if found.answer_of else None
    for variant in record.variants:
        if variant.id not in found.likelihoods:
            continue
        explanation = found.explanations[variant.id]
        values = MEASURES[measure].of(explanation, found.likelihoods[variant.id], found.readers[variant.id].index(variant.id), first)
        texts = explanation.pieces[explanation.prompt :]
        marks = marked(texts, record.of(explanation.answer_of)[0].spans, leading(texts))
        rows += [
            {"variant": variant.label, "token": number, "text": text, "toxic": mark, "value": float(value)}
            for number, (text, mark, value) in enumerate(zip(texts, marks, values, strict=True), start=1)
        ]
    return pd.DataFrame(rows, columns=["variant", "token", "text", "toxic", "value"]).dropna()


def marked(texts: Sequence[str], spans: Sequence[Span], start: int) -> list[bool]:
    """Which of the texts share a letter with a span; span offsets count from `start` of the joined texts."""
    flags, at = [], -start
    for text in texts:
        flags.append(any(span.start < at + len(text) and at < span.end for span in spans))
        at += len(text)
    return flags


def leading(texts: Sequence[str]) -> int:
    """Spaces before the first letter of the joined texts: scorers see replies without them."""
    joined = "".join(texts)
    return len(joined) - len(joined.lstrip())


def steps_chart(frame: pd.DataFrame, axis: str, theme: str = "light", chosen: int | None = None) -> go.Figure:
    """Lines told apart by colour, dash and a label at their end; toxic words are diamonds.

    Args:
        frame: see `steps_frame`.
        axis: title of the value axis.
        theme: light or dark.
        chosen: number of the token that a line marks.
    """
    figure = go.Figure()
    for row, (variant, mine) in enumerate(frame.groupby("variant", sort=False)):
        color = COLORS[theme][row % 6]
        figure.add_trace(
            go.Scatter(
                x=mine["token"],
                y=mine["value"],
                mode="lines+markers",
                name=str(variant),
                line={"color": color, "dash": DASHES[row % 6], "width": 2},
                marker={
                    "size": [12 if toxic else 6 for toxic in mine["toxic"]],
                    "symbol": ["diamond" if toxic else "circle" for toxic in mine["toxic"]],
                },
                customdata=mine["text"],
                hovertemplate=f"{variant}, token %{{x}} \u201c%{{customdata}}\u201d: %{{y:.2f}}<extra></extra>",
            )
        )
        last = mine.iloc[-1]
        figure.add_annotation(x=last["token"], y=last["value"], text=f"<b>{variant}</b>", showarrow=False, xanchor="left", xshift=8)
    if chosen is not None:
        figure.add_vline(x=chosen, line={"width": 1, "dash": "dot", "color": "gray"})
    figure.update_layout(
        height=340,
        margin={"l": 10, "r": 50, "t": 10, "b": 10},
        showlegend=False,
        xaxis={"title": "token of the answer", "rangemode": "tozero"},
        yaxis={"title": axis},
        hovermode="closest",
        clickmode="event+select",
    )
    return figure
