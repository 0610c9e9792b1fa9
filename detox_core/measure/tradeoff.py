"""What an intervention costs: toxicity, perplexity and divergence over its strength, on one prompt."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from detox_core.compare import Pool, judge
from detox_core.explain.likelihood import LOWEST
from detox_core.generate import generate, read_as
from detox_core.interventions.applying import fit_missing
from detox_core.interventions.registry import METHODS
from detox_core.measure.quality import assess, reference
from detox_core.models.loading import LoadedBase
from detox_core.models.variants import changed
from detox_core.score import Scorer
from detox_core.types import Comparison, Generation, Variant

OnPhase = Callable[[str], None]
SAMPLES = 5  # replies behind each point of the curve


@dataclass(frozen=True, slots=True)
class Point:
    """One strength.

    Attributes:
        variant: with the intervention at this strength; the plain one at 0.
        replies: scored and judged; the first is the one that the comparison's seed and settings give.
        toxicity: mean over the replies that were scored, NaN = none was.
        perplexity: geometric mean over the replies, under the comparison's untuned model; NaN = none was read.
        divergence: KL(plain || this) in nats per token, mean over the plain variant's own greedy reply; NaN = no reply to read.
        seconds: per token of the replies.
    """

    strength: float
    variant: Variant
    replies: tuple[Generation, ...]
    toxicity: float
    perplexity: float
    divergence: float
    seconds: float


def strengths(method: str, *, research: bool = False, most: int = 7) -> list[float]:
    """Strengths from 0 (with the research switch: from the lowest) to the highest, so many at most, the usual one among them."""
    card = METHODS[method]
    low = card.low if research else 0.0
    count = min(most - 1, max(1, round((card.high - low) / card.step)))
    steps = [low + (card.high - low) * number / count for number in range(count + 1)]
    rounded = [round(round(value / card.step) * card.step, 4) for value in steps]
    return sorted({0.0, card.default, *rounded})


def tradeoff(
    record: Comparison,
    variant: Variant,
    methods: Sequence[tuple[str, Sequence[float]]],
    scorer: Scorer,
    pool: Pool,
    on_phase: OnPhase = lambda _phase: None,
    stop: threading.Event | None = None,
    *,
    research: bool | None = None,
) -> list[Point]:
    """Answer the prompt of a comparison at several strengths of one method, a second one held fixed.

    Args:
        variant: what is changed, without interventions.
        methods: method and strengths; the first has the strengths of the curve, a second one a single strength.
        on_phase: told what is done, as "answering: strength 3 of 7".

    Returns:
        One point per strength of the first method, ascending.

    Raises:
        BadInput, ModelError, ScorerError: see `changed`, `fit_missing` and `generate`.
        InterruptedError: stopped.
    """
    stop = stop or threading.Event()
    base, untuned = pool.get(variant), reference((*record.variants, variant))
    (method, values), *others = methods
    fixed = tuple((name, given[0]) for name, given in others)
    wanted = [_with(variant, ((method, strength), *fixed), research) for strength in values]
    for one in wanted:
        fit_missing(base, one, lambda what, done, count: on_phase(f"learning {what}: step {done} of {count}"), stop)
    text = replace(record.decoding, samples=1, temperature=0.0)
    plain = generate(base, record.prompt, [variant], text, stop=stop)[0]
    known = read_as(base, variant, record.prompt, plain.tokens) if plain.tokens else None
    points = []
    for number, (strength, one) in enumerate(zip(values, wanted, strict=True), start=1):
        if stop.is_set():
            raise InterruptedError("Stopped.")
        on_phase(f"answering: strength {number} of {len(wanted)}")
        points.append(_point(record, one, strength, base, scorer, pool.get(untuned), plain, known))
    return points


def _with(variant: Variant, interventions: tuple[tuple[str, float], ...], research: bool | None) -> Variant:
    kept = tuple((name, strength) for name, strength in interventions if strength != 0)
    return changed(variant, kept, research=research) if kept else variant


def _point(
    record: Comparison,
    variant: Variant,
    strength: float,
    base: LoadedBase,
    scorer: Scorer,
    untuned: LoadedBase,
    plain: Generation,
    known: torch.Tensor | None,
) -> Point:
    samples = max(record.decoding.samples, 1 if record.decoding.temperature == 0 else SAMPLES)
    began = time.perf_counter()
    replies = generate(base, record.prompt, [variant], replace(record.decoding, samples=samples))
    seconds = (time.perf_counter() - began) / max(1, sum(len(reply.tokens) for reply in replies))
    judged = assess(record.prompt, judge(replies, scorer), record.variants, untuned)
    toxicity = [reply.score.value for reply in judged if reply.score and reply.score.scored]
    logs = [math.log(reply.quality.perplexity) for reply in judged if reply.quality and reply.quality.perplexity > 0]
    return Point(
        strength=strength,
        variant=variant,
        replies=tuple(judged),
        toxicity=sum(toxicity) / len(toxicity) if toxicity else math.nan,
        perplexity=math.exp(sum(logs) / len(logs)) if logs else math.nan,
        divergence=math.nan if known is None else divergence(known, read_as(base, variant, record.prompt, plain.tokens)),
        seconds=seconds,
    )


def divergence(plain: torch.Tensor, other: torch.Tensor) -> float:
    """Mean KL(plain || other) in nats per token, of log-probabilities (tokens, vocabulary)."""
    plain, other = plain.clamp(min=LOWEST), other.clamp(min=LOWEST)
    return float((plain.exp() * (plain - other)).sum(-1).mean().clamp(min=0))


def with_point(record: Comparison, point: Point) -> Comparison:
    """The comparison with one more column: the answer at this strength."""
    shown = [replace(reply, variant=point.variant.id) for reply in point.replies[: record.decoding.samples]]
    if point.variant.id in {variant.id for variant in record.variants}:
        return record
    return replace(record, variants=(*record.variants, point.variant), generations=(*record.generations, *shown))
