"""The main path: one prompt x variants x decoding -> generations -> scores -> Comparison. Knows nothing of pages."""

import gc
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from detox_core.errors import DetoxError
from detox_core.generate import generate
from detox_core.interventions.applying import fit_missing
from detox_core.measure.quality import assess, reference
from detox_core.models.checking import first_line
from detox_core.models.loading import LoadedBase, load_base
from detox_core.request import Request, new_comparison
from detox_core.score import Scorer, get_scorer
from detox_core.score.spans import toxic_words
from detox_core.types import Comparison, Generation, Span, Variant

SAMPLES_WITH_SPANS = 5  # of each variant; finding the words costs some 50 further scores a reply
OnProgress = Callable[[Comparison, str], None]


class Pool:
    """Base models in memory, least recently used first out. Not for use by two threads at once."""

    def __init__(self, size: int = 2) -> None:
        self.size = size
        self.bases: OrderedDict[tuple, LoadedBase] = OrderedDict()

    def get(self, variant: Variant) -> LoadedBase:
        """The base of a variant, loaded if need be.

        Raises:
            ModelError: see `load_base`.
        """
        if variant.base_key not in self.bases:
            while len(self.bases) >= self.size:
                self.bases.popitem(last=False)
                gc.unfreeze()
            gc.collect()
            self.bases[variant.base_key] = load_base(*variant.base_key)
            gc.collect()
            gc.freeze()  # half a million library objects that no later collection needs to walk
        self.bases.move_to_end(variant.base_key)
        return self.bases[variant.base_key]

    def clear(self) -> None:
        """Free all models."""
        self.bases.clear()
        gc.unfreeze()
        gc.collect()


def compare(
    request: Request,
    pool: Pool,
    on_progress: OnProgress = lambda _comparison, _phase: None,
    stop: threading.Event | None = None,
) -> Comparison:
    """Answer a prompt with all variants and score everything.

    A variant that fails gets a sentence in `errors`; the others are not touched.

    Args:
        on_progress: called with the record so far and what is being done, from this thread.
        stop: when set, decoding ends at the next token; what is there is scored and returned.

    Raises:
        BadInput: the request cannot be served at all.
        ScorerError: the scorer cannot be loaded.
    """
    now = new_comparison(request)
    on_progress(now, "loading the scorer")
    scorer = get_scorer(request.scorer)
    now = replace(now, prompt_score=scorer.score([now.prompt])[0], prompt_spans=toxic_spans(now.prompt, scorer))
    for _, members in groupby(sorted(request.variants, key=lambda v: str(v.base_key)), key=lambda v: v.base_key):
        now = _answer(now, list(members), pool, on_progress, stop or threading.Event())
    on_progress(now, "scoring")
    order = [variant.id for variant in request.variants]
    generations = sorted(now.generations, key=lambda g: (order.index(g.variant), g.sample))
    base = pool.bases.get(reference(request.variants).base_key)
    judged = assess(now.prompt, judge(generations, scorer), request.variants, base)
    return replace(now, generations=tuple(judged))


def judge(generations: Sequence[Generation], scorer: Scorer) -> list[Generation]:
    """The same generations with scores, and with the words that carry them."""
    scores = scorer.score([generation.text for generation in generations])
    return [
        replace(generation, score=score, spans=toxic_spans(generation.text, scorer) if generation.sample < SAMPLES_WITH_SPANS else ())
        for generation, score in zip(generations, scores, strict=True)
    ]


def toxic_spans(text: str, scorer: Scorer) -> tuple[Span, ...]:
    """The toxic words of a text; none are looked for with a scorer that is too slow for it."""
    # Perspective allows one request a second: the words of one reply would take half a minute.
    return () if scorer.id == "perspective" else toxic_words(text, scorer)


def _answer(now: Comparison, variants: list[Variant], pool: Pool, on_progress: OnProgress, stop: threading.Event) -> Comparison:
    """Add the replies of all variants of one base; whatever fails becomes an error of the variants it concerns."""
    if stop.is_set():
        return _failed(now, variants, "Stopped before it began.")
    ready: list[Variant] = []
    try:
        if variants[0].base_key not in pool.bases:
            on_progress(now, f"loading {variants[0].label}")
        base = pool.get(variants[0])
        for variant in variants:
            try:
                base.attach(variant.adapter)
                base.render(now.prompt, variant.template)
                fit_missing(base, variant, _telling(now, variant, on_progress), stop)
                ready.append(variant)
            except InterruptedError:
                now = _failed(now, [variant], "Stopped before it had learnt what it needs.")
            except DetoxError as error:
                now = _failed(now, [variant], str(error))
        if not ready:
            return now
        before = now
        replies = generate(
            base,
            now.prompt,
            ready,
            now.decoding,
            lambda partial: on_progress(replace(before, generations=(*before.generations, *partial)), "writing"),
            stop,
        )
        versions = {source: base.fingerprints[source] for v in ready for source in (v.base, v.adapter) if source}
        return replace(now, generations=(*now.generations, *replies), versions={**now.versions, **versions})
    except InterruptedError:
        return _failed(now, ready or variants, "Stopped before it was loaded.")
    except DetoxError as error:
        return _failed(now, ready or variants, str(error))
    except Exception as error:  # out of memory, a template that raises: one column's trouble must not cost the others
        traceback.print_exc()
        return _failed(now, ready or variants, f"This model broke: {first_line(error)} The log has the details.")


def _telling(now: Comparison, variant: Variant, on_progress: OnProgress) -> Callable[[str, int, int], None]:
    """Fitting as a phase of a comparison."""
    return lambda what, done, count: on_progress(now, f"learning {what} ({variant.label}, once): {done} of {count}")


def _failed(now: Comparison, variants: list[Variant], why: str) -> Comparison:
    return replace(now, errors={**now.errors, **{variant.id: why for variant in variants}})
