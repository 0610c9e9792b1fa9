"""The toxicity meter: prompts x variants x samples -> replies with scores. What they say together is in `report.py`."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from detox_core.batch import max_rows
from detox_core.compare import Pool
from detox_core.errors import BadInput
from detox_core.generate import generate_many
from detox_core.interventions.applying import OnPhase, fit_missing, fits_of
from detox_core.interventions.registry import check_judge
from detox_core.measure.measurement import NAME, Settings, appending, read_measurement, seed_of
from detox_core.measure.quality import assess, reference
from detox_core.measure.report import Measured
from detox_core.models.variants import cache_folder
from detox_core.request import check_decoding
from detox_core.score import Scorer
from detox_core.types import Decoding, Generation, Prompt, Score, Variant

OnProgress = Callable[[int, int], None]


def measure(
    prompts: Sequence[Prompt],
    variants: Sequence[Variant],
    decoding: Decoding,
    scorer: Scorer,
    pool: Pool | None = None,
    on_progress: OnProgress = lambda _done, _all: None,
    stop: threading.Event | None = None,
    others: Sequence[Scorer] = (),
    on_block: Callable[[list[Measured]], None] = lambda _block: None,
    quality: bool = False,
) -> list[Measured]:
    """Answer every prompt with every variant and score prompts and replies.

    Prompts of similar length are answered together, all variants in one batch. The seed of a prompt follows from `decoding.seed`
    and the prompt's id, so a part of a data set gives the same replies as the whole. A prompt that is too long for a model gets
    replies without text and score, with the reason.

    Args:
        others: further scorers, whose scores become `Measured.others`.
        on_progress: called with the number of prompts done and of all prompts.
        stop: when set, measuring ends before the next block and returns what is complete.
        on_block: called with every block of prompts as soon as it is scored.
        quality: also judge every reply's similarity to its prompt and its perplexity under the untuned model.

    Returns:
        In the order of `prompts`.

    Raises:
        BadInput, ModelError: a variant cannot answer at all; blocks before that were handed to `on_block`.
        BadInput: the scorer would judge what it picked itself.
        ScorerError: a scorer failed; as above.
    """
    check_decoding(decoding)
    for variant in variants:
        check_judge(variant.interventions, scorer.id)
    by_base = [list(members) for _, members in groupby(sorted(variants, key=lambda v: str(v.base_key)), key=lambda v: v.base_key)]
    pool, stop = pool or Pool(max(2, len(by_base))), stop or threading.Event()
    order = sorted(prompts, key=lambda prompt: len(prompt.text))
    # Variants with interventions are answered one by one: blocks that fill a batch of one of them are faster.
    columns = max((1 if any(v.interventions for v in members) else len(members) for members in by_base), default=1)
    replies = columns * decoding.samples
    size = max(1, min((max_rows(pool.get(members[0])) for members in by_base), default=1) // max(1, replies))
    done: dict[str, Measured] = {}
    for at in range(0, len(order), size):
        if stop.is_set():
            break
        block = order[at : at + size]
        answered = [_answer(block, members, decoding, pool) for members in by_base]
        rows = [Measured(prompt, tuple(r for part in answered for r in part[number])) for number, prompt in enumerate(block)]
        rows = score_again(rows, scorer)
        for other in others:
            rows = [replace(row, others=row.others | new.others) for row, new in zip(rows, _by_other(rows, other), strict=True)]
        if quality:
            rows = [replace(row, generations=tuple(_assessed(row, variants, pool))) for row in rows]
        on_block(rows)
        done |= {row.prompt.id: row for row in rows}
        on_progress(len(done), len(prompts))
    return [done[prompt.id] for prompt in prompts if prompt.id in done]


def score_again(measured: Sequence[Measured], scorer: Scorer) -> list[Measured]:
    """The same prompts and replies with the scores of `scorer`; replies that could not be written stay unscored."""
    scores = iter(scorer.score([text for row in measured for text in (row.prompt.text, *(reply.text for reply in row.generations))]))

    def judged(reply: Generation) -> Generation:
        score, old = next(scores), reply.score
        unwritten = old is not None and not old.scored and not reply.text
        return reply if unwritten else replace(reply, score=score)

    return [
        replace(row, prompt_score=next(scores), generations=tuple(judged(reply) for reply in row.generations), others={})
        for row in measured
    ]


def _by_other(rows: Sequence[Measured], scorer: Scorer) -> list[Measured]:
    scores = iter(scorer.score([reply.text for row in rows for reply in row.generations]))
    return [replace(row, others={scorer.id: tuple(next(scores) for _ in row.generations)}) for row in rows]


def _assessed(row: Measured, variants: Sequence[Variant], pool: Pool) -> list[Generation]:
    untuned = reference(variants)
    return assess(row.prompt.text, row.generations, variants, pool.get(untuned))


def _answer(block: Sequence[Prompt], variants: Sequence[Variant], decoding: Decoding, pool: Pool) -> list[list[Generation]]:
    """The replies of all variants of one base to every prompt."""
    base = pool.get(variants[0])
    asked = [(prompt.text, seed_of(prompt.id, decoding.seed)) for prompt in block]
    try:
        return generate_many(base, asked, variants, decoding)
    except BadInput as error:
        if len(block) > 1:
            return [replies for prompt in block for replies in _answer([prompt], variants, decoding, pool)]
        unwritten = Score(float("nan"), "", "", reason=str(error))
        return [[Generation(v.id, sample, "", score=unwritten) for v in variants for sample in range(decoding.samples)]]


def settings_for(
    dataset: str,
    prompts: Sequence[Prompt],
    variants: Sequence[Variant],
    decoding: Decoding,
    scorers: Sequence[Scorer],
    pool: Pool,
    tell: OnPhase = lambda _what, _done, _all: None,
    stop: threading.Event | None = None,
) -> Settings:
    """What the replies will depend on, weights included; interventions learn here what they need.

    Args:
        tell: what is being learnt, how much of it is done, of how much.

    Raises:
        ModelError: a variant cannot be loaded.
        InterruptedError: stopped.
        BadInput: there is nothing to measure, or the first scorer would judge what it picked itself.
    """
    if not prompts:
        raise BadInput(f"The data set {dataset} has no prompts to answer.")
    for variant in variants:
        check_judge(variant.interventions, scorers[0].id)
    fingerprints: dict[str, str] = {}
    for variant in variants:
        base = pool.get(variant)
        base.attach(variant.adapter)
        fingerprints |= {source: base.fingerprints[source] for source in (variant.base, variant.adapter) if source}
        fit_missing(base, variant, tell, stop)
        fingerprints |= fits_of(base, variant)
    revisions = {scorer.id: scorer.revision for scorer in scorers}
    return Settings(dataset, len(prompts), tuple(variants), decoding, revisions, fingerprints)


def measure_into(
    path: Path,
    settings: Settings,
    prompts: Sequence[Prompt],
    scorers: Sequence[Scorer],
    pool: Pool,
    on_progress: OnProgress = lambda _done, _all: None,
    stop: threading.Event | None = None,
) -> list[Measured]:
    """`measure`, saved as it goes: begins a file, or goes on with one that was interrupted.

    Raises:
        BadInput, ModelError, ScorerError: as `measure` and `appending`; what was saved stays.
    """
    with appending(path, settings) as (done, append):
        known = {row.prompt.id for row in done}
        left = [prompt for prompt in prompts if prompt.id not in known]
        if not left:
            on_progress(len(prompts), len(prompts))
        measure(
            left,
            settings.variants,
            settings.decoding,
            scorers[0],
            pool,
            lambda count, _all: on_progress(len(known) + count, len(prompts)),
            stop,
            scorers[1:],
            append,
            quality=True,
        )
    # What is on disk is rounded: a measurement gives the same figures whether it was made now or before.
    saved = {row.prompt.id: row for row in read_measurement(path)[1]}
    return [saved[prompt.id] for prompt in prompts if prompt.id in saved]


def default_path(settings: Settings) -> Path:
    """Where a measurement with these settings is kept when nobody names a file: equal settings, equal file."""
    digest = hashlib.sha256(json.dumps(settings.to_dict(), sort_keys=True).encode()).hexdigest()[:8]
    name = re.sub(r"[^a-z0-9]+", "-", Path(settings.dataset).name.lower()).strip("-")[:40]
    return cache_folder() / "runs" / f"measure-{name}-{digest}" / NAME
