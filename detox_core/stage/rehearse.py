"""A rehearsal: every step of a stage answered anew, in order, with its times and what would go wrong in front of people."""

import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from detox_core.compare import Pool, compare
from detox_core.errors import BadInput, DetoxError
from detox_core.models.checking import first_line
from detox_core.score import get_scorer
from detox_core.stage.steps import Stage, Step
from detox_core.types import Comparison, Generation

LIMIT = 10.0  # seconds that people wait for an answer without looking away
TOLERANCE = 0.02  # of a score for the same text, between two machines
OnPhase = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """How one step went.

    Attributes:
        first: seconds until the first word of any column; NaN = none came.
        seconds: until everything was scored.
        same, replies: how many of the recorded replies came word for word, of how many.
        change: largest difference of a score to the recorded one; NaN = nothing to compare.
        live: every column answered.
        recorded: the recording has every column.
        problems: sentences.
    """

    prompt: str
    first: float
    seconds: float
    same: int
    replies: int
    change: float
    live: bool
    recorded: bool
    problems: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What the presenter can count on."""
        if self.live:
            return "live" if self.recorded else "live only"
        return "recording only" if self.recorded else "nothing to show"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a stage went.

    Attributes:
        load: seconds until models and scorers were in memory; 0 = they were already.
    """

    load: float
    steps: tuple[Rehearsed, ...]

    @property
    def passed(self) -> bool:
        """Every step can be shown, live or from its recording."""
        return all(step.live or step.recorded for step in self.steps)

    def table(self) -> list[dict[str, Any]]:
        """One row per step, for people."""
        return [
            {
                "step": number,
                "prompt": step.prompt,
                "works": step.verdict,
                "first word": "none" if math.isnan(step.first) else f"{step.first:.1f} s",
                "all": f"{step.seconds:.1f} s",
                "same texts": f"{step.same} of {step.replies}",
                "scores": "not known" if math.isnan(step.change) else f"\N{PLUS-MINUS SIGN}{step.change:.2f}",
                "problems": " ".join(step.problems) or "none",
            }
            for number, step in enumerate(self.steps, start=1)
        ]


def rehearse(
    stage: Stage,
    pool: Pool,
    on_phase: OnPhase = lambda _phase: None,
    stop: threading.Event | None = None,
    limit: float = LIMIT,
    *,
    research: bool | None = None,
) -> Rehearsal:
    """Answer every step anew with its own settings and hold it against its recording.

    Args:
        on_phase: called with what is being done, for example "rehearsing: step 2 of 7".
        stop: when set, ends with InterruptedError.
        limit: seconds after which a step counts as slow.
        research: see `check_interventions`.

    Raises:
        BadInput: the stage is empty.
        InterruptedError: stopped.
    """
    if not stage.steps:
        raise BadInput("The stage has no steps. Star comparisons on Compare, or make a stage of the recorded examples.")
    stop = stop or threading.Event()
    began = time.monotonic()
    on_phase("loading the models")
    _load(stage, pool)
    load, done = time.monotonic() - began, []
    for number, step in enumerate(stage.steps, start=1):
        on_phase(f"rehearsing: step {number} of {len(stage.steps)}")
        done.append(_rehearse(step, pool, stop, limit, research))
        if stop.is_set():
            raise InterruptedError
    return Rehearsal(load, tuple(done))


def _load(stage: Stage, pool: Pool) -> None:
    """Whatever fits into memory at once, the first step's last; what fails is told by the step that needs it."""
    variants = [variant for step in stage.steps for variant in step.comparison.variants]
    bases = list(dict.fromkeys(variant.base_key for variant in variants))[: pool.size]
    for variant in reversed(variants):
        if variant.base_key in bases:
            with suppress(Exception):
                pool.get(variant).attach(variant.adapter)
    for name in dict.fromkeys(step.comparison.scorer for step in stage.steps):
        with suppress(Exception):
            get_scorer(name)


def _rehearse(step: Step, pool: Pool, stop: threading.Event, limit: float, research: bool | None) -> Rehearsed:
    began, first, now, failed = time.monotonic(), math.nan, None, ""

    def on_progress(partial: Comparison, _phase: str) -> None:
        nonlocal first
        if math.isnan(first) and any(reply.tokens for reply in partial.generations):
            first = time.monotonic() - began

    try:
        now = compare(step.request(research=research), pool, on_progress, stop)
    except DetoxError as error:
        failed = str(error)
    except Exception as error:  # what breaks one step must not end the rehearsal of the others
        traceback.print_exc()
        failed = f"It broke: {first_line(error)} The log has the details."
    seconds = time.monotonic() - began
    pairs = list(_pairs(step.comparison, now)) if now else []
    changes = [abs(a.score.value - b.score.value) for a, b in pairs if a.score and b.score and a.score.scored and b.score.scored]
    slow = [f"It takes {seconds:.1f} s; more than {limit:g} s are long in front of people."] if seconds > limit else []
    return Rehearsed(
        step.comparison.prompt,
        first,
        seconds,
        sum(a.text == b.text for a, b in pairs),
        len(step.comparison.generations),
        max(changes, default=math.nan),
        now is not None and not any(True for _ in _missing(now)),
        not step.unrecorded(),
        tuple([failed] if failed else []) + tuple(_problems(step, now) if now else ()) + tuple(slow) + _unrecorded(step),
    )


def _pairs(recorded: Comparison, now: Comparison) -> Iterator[tuple[Generation, Generation]]:
    """The same reply, recorded and now."""
    found = {(reply.variant, reply.sample): reply for reply in now.generations}
    return ((old, found[old.variant, old.sample]) for old in recorded.generations if (old.variant, old.sample) in found)


def _missing(now: Comparison) -> Iterator[str]:
    """Columns without an answer, and why."""
    for variant in now.variants:
        replies = now.of(variant.id)
        if variant.id in now.errors:
            yield f"{variant.label}: {now.errors[variant.id]}"
        elif not any(reply.text.strip() for reply in replies):
            yield f"{variant.label} answers nothing."


def _unrecorded(step: Step) -> tuple[str, ...]:
    labels = ", ".join(step.unrecorded())
    return (f"The recording has no answer of {labels}.",) if labels else ()


def _problems(step: Step, now: Comparison) -> Iterator[str]:
    """What differs from the recording and should not."""
    recorded = step.comparison
    labels = {variant.id: variant.label for variant in recorded.variants}
    yield from _missing(now)
    for reply in now.generations:
        if reply.text.strip() and not (reply.score and reply.score.scored):
            yield f"The answer of {labels[reply.variant]} is not scored: {reply.score.reason if reply.score else 'no score'}."
    known = {source for variant in recorded.variants for source in (variant.base, variant.adapter) if source}
    for source in sorted(known & set(recorded.versions) & set(now.versions)):
        if recorded.versions[source] != now.versions[source]:
            yield f"The weights of {source} are not those of the recording."
    if recorded.prompt_score and now.prompt_score and recorded.prompt_score.revision != now.prompt_score.revision:
        yield f"The scorer {now.scorer} is of another version than in the recording."
    for old, new in _pairs(recorded, now):
        label = labels[old.variant]
        if old.text != new.text and recorded.decoding.temperature == 0:
            yield f"{label} always takes the likeliest token, yet it answers otherwise than recorded."
        elif old.text == new.text and old.score and new.score and abs(old.score.value - new.score.value) > TOLERANCE:
            yield f"The same answer of {label} is scored {new.score.value:.2f}, not {old.score.value:.2f}."
