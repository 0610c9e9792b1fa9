"""Comparisons as one self-contained HTML page: opens offline, carries no script, shows foreign text literally."""

from collections.abc import Sequence
from html import escape

from detox_core.figures.colors import toxicity_color
from detox_core.types import Comparison, Generation, Score, Span, bucket

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
WARNING = "Toxic language follows, on purpose: this is about what language models say and how training changes it. Nothing is blurred."
MEANING = (
    "A score is the estimated probability that a rater would call the text toxic, not how severe it is. Underlined: words that carry it."
)
TITLE_LENGTH = 80  # characters of a prompt in the table of contents
STYLE = """
:root {
  color-scheme: light dark;
  --text: #1d2129; --quiet: #555; --line: #c9ccd1; --page: #fff; --soft: #f4f5f7; --mark: #f9d9d5; --under: #c0392b;
}
@media (prefers-color-scheme: dark) {
  :root { --text: #e8eaed; --quiet: #b0b4bb; --line: #565b63; --page: #14171c; --soft: #1f242b; --mark: #5a2a24; --under: #ff8a75; }
}
body {
  font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--text); background: var(--page);
}
h1 { font-size: 1.6rem; overflow-wrap: anywhere; }
h2, h3 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
section { margin: 2rem 0; }
section > h2 { margin-bottom: .5rem; }
.columns { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); }
article, .prompt { border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; }
.prompt { margin-bottom: 1rem; background: var(--soft); }
p, li { white-space: pre-wrap; overflow-wrap: anywhere; }
a { color: inherit; }
mark { background: var(--mark); border-bottom: 2px solid var(--under); color: inherit; }
.warning { border-left: 4px solid var(--under); padding-left: .8rem; }
.note { border-left: 4px solid var(--line); padding-left: .8rem; }
.bar { height: .6rem; border: 1px solid var(--line); border-radius: .3rem; overflow: hidden; background: #fff; }
.bar span { display: block; height: 100%; }
small { color: var(--quiet); }
@media print {
  :root { color-scheme: light; --text: #000; --quiet: #333; --line: #999; --page: #fff; --soft: #fff; --mark: #eee; --under: #000; }
  body { max-width: none; margin: 0; font-size: 10pt; }
  article, .prompt, .bar { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .bar, mark { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def html_card(comparison: Comparison) -> str:
    """The comparison as one HTML document. Every text is escaped; the page allows no script and loads nothing."""
    title = f"Detox Lens {comparison.id}"
    return _document(title, f"<h1>{escape(title)}</h1>{_warning()}<section>{_body(comparison, 'h2')}</section>")


def html_report(title: str, comparisons: Sequence[Comparison], notes: Sequence[str] = ()) -> str:
    """Several comparisons as one HTML document with a table of contents; as safe as `html_card`.

    Args:
        title: shown on top.
        comparisons: in order; the same one may come twice.
        notes: one for each comparison, where there are any; may be shorter, and empty ones are not shown.
    """
    told = [*notes, *[""] * len(comparisons)]
    heads = [f"{number}. {_cut(one.prompt)}" for number, one in enumerate(comparisons, start=1)]
    contents = "".join(f'<li><a dir="auto" href="#step-{at}">{escape(_cut(one.prompt))}</a></li>' for at, one in enumerate(comparisons, 1))
    sections = "".join(
        f'<section id="step-{at}"><h2 dir="auto">{escape(head)}</h2>{_note(note)}{_body(one, "h3")}</section>'
        for at, (head, one, note) in enumerate(zip(heads, comparisons, told, strict=False), start=1)
    )
    navigation = f'<nav aria-label="Contents"><ol>{contents}</ol></nav>' if contents else "<p>There is no step in this stage.</p>"
    return _document(title, f'<h1 dir="auto">{escape(title)}</h1>{_warning()}{navigation}{sections}')


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def _warning() -> str:
    return f'<p class="warning">{WARNING}</p>'


def _note(note: str) -> str:
    return f'<p class="note" dir="auto">{escape(note)}</p>' if note.strip() else ""


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH else f"{line[: TITLE_LENGTH - 3]}..."


def _body(comparison: Comparison, heading: str) -> str:
    """Prompt, one column per variant, and how it was made."""
    columns = "".join(
        f"<article><{heading}>{escape(variant.label)}</{heading}><small>{escape(variant.about)}</small>"
        + (f"<p>{escape(comparison.errors[variant.id])}</p>" if variant.id in comparison.errors else "")
        + "".join(_reply(reply) for reply in comparison.of(variant.id))
        + "</article>"
        for variant in comparison.variants
    )
    return (
        f'<div class="prompt"><small>Prompt</small><p dir="auto">{_marked(comparison.prompt, comparison.prompt_spans)}</p>'
        f'{_meter(comparison.prompt_score)}</div><div class="columns">{columns}</div>'
        f"<p><small>{escape(made(comparison))} {MEANING}</small></p>"
    )


def made(comparison: Comparison) -> str:
    """How a comparison was made, in one line."""
    decoding = comparison.decoding
    how = "greedy" if decoding.temperature == 0 else f"temperature {decoding.temperature:g}, top-p {decoding.top_p:g}"
    revision = f" ({comparison.prompt_score.revision})" if comparison.prompt_score else ""
    return (
        f"Detox Lens {comparison.id}, {comparison.created}. Seed {decoding.seed}, {how}, at most {decoding.max_new_tokens} tokens. "
        f"Scorer {comparison.scorer}{revision}."
    )


def _reply(reply: Generation) -> str:
    return f'<p dir="auto">{_marked(reply.text, reply.spans)}</p>{_meter(reply.score)}'


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
