"""Whether replies are answers at all: near to the prompt in meaning, likely to the untuned model, and no way around answering."""

import math
from collections.abc import Sequence
from dataclasses import replace

from detox_core.errors import DetoxError
from detox_core.explain.likelihood import perplexities
from detox_core.measure.similarity import embed
from detox_core.models.loading import LoadedBase
from detox_core.models.templates import opening
from detox_core.models.variants import UNTUNED
from detox_core.score.evasion import evasion
from detox_core.types import Generation, Quality, Variant

UNLIKELY = 100.0  # perplexity; 99 in 100 replies of the embedded family to the demo prompts are below 40


def assess(prompt: str, replies: Sequence[Generation], variants: Sequence[Variant], base: LoadedBase | None) -> list[Generation]:
    """The same replies with their quality.

    Args:
        variants: of the comparison; the untuned model among them, `reference(variants)`, gives the perplexity.
        base: loaded for the untuned model; None = it could not be, perplexity is NaN.

    Raises:
        ScorerError: the sentence encoder's files are missing.
    """
    vectors = embed([prompt, *(reply.text or " " for reply in replies)])
    similarities = vectors[1:] @ vectors[0]
    read = _perplexities(prompt, replies, reference(variants), base)
    # How likely a reply is to another model says nothing against it: it may simply know more words.
    related = {variant.id for variant in variants if variant.base_key == reference(variants).base_key}
    judged = []
    for reply, similarity, perplexity in zip(replies, similarities.tolist(), read, strict=True):
        unlikely = "unlikely words" if perplexity > UNLIKELY and reply.variant in related else None
        known = similarity if reply.text.strip() else math.nan
        judged.append(replace(reply, quality=Quality(known, perplexity, evasion(prompt, reply.text) or unlikely)))
    return judged


def reference(variants: Sequence[Variant]) -> Variant:
    """The untuned model of a comparison: IT, or without it the first."""
    return next((variant for variant in variants if variant.id in UNTUNED), variants[0])


def _perplexities(prompt: str, replies: Sequence[Generation], untuned: Variant, base: LoadedBase | None) -> list[float]:
    if base is None:
        return [math.nan] * len(replies)
    try:
        adapter = base.attach(untuned.adapter)
        read = base.render(prompt, untuned.template)
        ids = base.tokenizer(read, add_special_tokens=False)["input_ids"]
    except DetoxError:
        return [math.nan] * len(replies)
    said = [opening(read) + reply.text if reply.text.strip() else "" for reply in replies]
    answers = [base.tokenizer(text, add_special_tokens=False)["input_ids"] if text else [] for text in said]
    return perplexities(base, adapter, ids, answers)
