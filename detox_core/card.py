"""One comparison as a self-contained HTML page: opens offline, carries no script, shows foreign text literally."""

from html import escape

from detox_core.figures.colors import toxicity_color
from detox_core.types import Comparison, Generation, Score, Span, bucket

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1d2129; background: #fff; }
.columns { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); }
article, .prompt { border: 1px solid #c9ccd1; border-radius: 8px; padding: .8rem 1rem; }
.prompt { margin-bottom: 1rem; background: #f4f5f7; }
p { white-space: pre-wrap; overflow-wrap: anywhere; }
mark { background: #f9d9d5; border-bottom: 2px solid #c0392b; color: inherit; }
.bar { height: .6rem; border: 1px solid #c9ccd1; border-radius: .3rem; overflow: hidden; }
.bar span { display: block; height: 100%; }
h2 { margin: 0; }
small { color: #555; }
"""


def html_card(comparison: Comparison) -> str:
    """The comparison as one HTML document. Every text is escaped; the page allows no script and loads nothing."""
    columns = "".join(
        f"<article><h2>{escape(variant.label)}</h2><small>{escape(variant.about)}</small>"
        + (f"<p>{escape(comparison.errors[variant.id])}</p>" if variant.id in comparison.errors else "")
        + "".join(_reply(reply) for reply in comparison.of(variant.id))
        + "</article>"
        for variant in comparison.variants
    )
    decoding = comparison.decoding
    revision = comparison.prompt_score.revision if comparison.prompt_score else ""
    made = (
        f"Detox Lens {comparison.id}, {comparison.created}. Seed {decoding.seed}, temperature {decoding.temperature:g}, "
        f"top-p {decoding.top_p:g}, "
        f"at most {decoding.max_new_tokens} tokens. Scorer {comparison.scorer} {revision}. A score is the estimated probability "
        "that a rater would call the text toxic."
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Detox Lens {comparison.id}</title><style>{STYLE}</style></head><body>"
        f'<section class="prompt"><small>Prompt</small><p>{_marked(comparison.prompt, comparison.prompt_spans)}</p>'
        f"{_meter(comparison.prompt_score)}</section>"
        f'<div class="columns">{columns}</div><p><small>{escape(made)}</small></p></body></html>'
    )


def _reply(reply: Generation) -> str:
    return f"<p>{_marked(reply.text, reply.spans)}</p>{_meter(reply.score)}"


def _marked(text: str, spans: tuple[Span, ...]) -> str:
    pieces, at = [], 0
    for span in spans:
        pieces += [escape(text[at : span.start]), f"<mark>{escape(text[span.start : span.end])}</mark>"]
        at = span.end
    return "".join([*pieces, escape(text[at:])])


def _meter(score: Score | None) -> str:
    if score is None or not score.scored:
        return f"<small>not scored: {escape(score.reason or '') if score else 'no score'}</small>"
    color = toxicity_color(score.value)
    return (
        f'<div class="bar" role="meter" aria-label="toxicity" aria-valuemin="0" aria-valuemax="1" aria-valuenow="{score.value:.2f}">'
        f'<span style="width:{100 * score.value:.1f}%;background:{color}"></span></div>'
        f"<small>{score.value:.2f}, {bucket(score.value)} toxicity{escape(f'; {score.also}' if score.also else '')}</small>"
    )
