"""Answer prompts with all variants of a base as one batch. Knows nothing of scores or pages."""

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

import torch

from detox_core.batch import Batch, Draft, Reading, batches, max_rows
from detox_core.errors import BadInput
from detox_core.interventions.applying import applied
from detox_core.interventions.protocol import Patch
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import PLAIN, mixable
from detox_core.request import check_decoding
from detox_core.types import Decoding, Generation, Variant

OnUpdate = Callable[[list[Generation]], None]


def generate(
    base: LoadedBase,
    prompt: str,
    variants: Sequence[Variant],
    decoding: Decoding,
    on_update: OnUpdate = lambda _: None,
    stop: threading.Event | None = None,
) -> list[Generation]:
    """Reply to `prompt` with every variant, `decoding.samples` times each.

    All variants are rows of one mixed-adapter batch, except adapters that PEFT cannot mix and variants with interventions, which
    follow one by one.
    The random numbers depend on seed and sample number alone. So a column does not change when another is added, and two variants
    differ only where their probabilities do.

    Args:
        base: the base model of all `variants`.
        on_update: called with all replies so far after every token (at most 20 times a second), and at the end.
        stop: when set, decoding ends at the next token and keeps the partial text.

    Raises:
        BadInput: settings out of range, or prompt and reply do not fit into the model's context.
        ModelError: an adapter is missing, damaged or of another base.
    """
    (replies,) = generate_many(base, [(prompt, decoding.seed)], variants, decoding, lambda now: on_update(now[0]), stop)
    return replies


def generate_many(
    base: LoadedBase,
    prompts: Sequence[tuple[str, int]],
    variants: Sequence[Variant],
    decoding: Decoding,
    on_update: Callable[[list[list[Generation]]], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> list[list[Generation]]:
    """Reply to several prompts, each as `generate` would with its own seed, in as few batches as fit.

    A prompt is read once for all its samples, and rows that have ended leave the batch every 6 tokens, so long replies do not hold up
    the many short ones. Prompts of similar length make the least padding.

    Args:
        prompts: text and seed of each; `decoding.seed` is not used.
        on_update: as for `generate`, with one list per prompt.

    Returns:
        One list per prompt, in the order of `variants` and samples.

    Raises:
        BadInput, ModelError: as `generate`.
    """
    check_decoding(decoding)
    stop = stop or threading.Event()
    rows: list[Draft] = []

    def told() -> list[list[Generation]]:
        order = {variant.id: number for number, variant in enumerate(variants)}
        begun: list[list[Generation]] = [[] for _ in prompts]
        for row in sorted(rows, key=lambda row: (order[row.variant.id], row.sample)):
            if row.began and row.candidate == 0:
                begun[row.prompt].append(row.reply(base))
        return begun

    for members in _together(base, variants):
        with applied(base, members[0]) if members[0].interventions else nullcontext(Patch()) as patch:
            own = _rows(base, prompts, members, decoding, patch)
            rows += own
            for batch in batches(own, max_rows(base) // (len(members) * patch.rows)):
                alone = batch[0].adapter != PLAIN and not mixable(base.model, [batch[0].adapter])
                Batch(base, batch, decoding, lambda: on_update(told()), stop, patch).decode(alone)
            if patch.pick:
                _pick(base, own, prompts, patch.pick, patch.candidates)
                on_update(told())
    return told()


def read_as(base: LoadedBase, variant: Variant, prompt: str, tokens: Sequence[int]) -> torch.Tensor:
    """What a variant, interventions included, would have written in each place of a given reply.

    Returns:
        Log-probabilities at temperature 1 before each token, (tokens, vocabulary), float32.

    Raises:
        BadInput, ModelError: as `generate`.
    """
    decoding = Decoding(temperature=0, max_new_tokens=len(tokens))
    with applied(base, variant) as patch:
        row = _rows(base, [(prompt, 0)], [variant], decoding, replace(patch, candidates=1))[0]
        reading = Reading(base, [row], decoding, lambda: None, threading.Event(), patch)
        reading.dictate(tokens)
    return torch.stack(reading.found)


def _together(base: LoadedBase, variants: Sequence[Variant]) -> list[list[Variant]]:
    """Which variants are answered at once; one with interventions is answered alone."""
    plain = [variant for variant in variants if not variant.interventions]
    mixes = mixable(base.model, [base.attach(variant.adapter) for variant in plain])
    groups = [plain] if mixes and plain else [[variant] for variant in plain]
    return [*groups, *([variant] for variant in variants if variant.interventions)]


def _rows(
    base: LoadedBase, prompts: Sequence[tuple[str, int]], variants: Sequence[Variant], decoding: Decoding, patch: Patch
) -> list[Draft]:
    """The replies to write; a candidate is one more draw."""
    rewritten = {text: patch.rewrite(text) if patch.rewrite else text for text, _ in prompts}
    texts = {(text, variant.id): _read(base, rewritten[text], variant, decoding) for text, _ in prompts for variant in variants}
    return [
        Draft(
            prompt=at,
            variant=variant,
            sample=sample,
            candidate=candidate,
            draw=sample * patch.candidates + candidate,
            read=texts[text, variant.id],
            rewritten=rewritten[text] if rewritten[text] != text else "",
            typed=text,
            seed=seed,
            adapter=base.attach(variant.adapter),
            turn=base.next_turn(variant.template),
        )
        for at, (text, seed) in enumerate(prompts)
        for variant in variants
        for sample in range(decoding.samples)
        for candidate in range(patch.candidates)
    ]


def _pick(
    base: LoadedBase, rows: Sequence[Draft], prompts: Sequence[tuple[str, int]], pick: Callable[[str, Sequence[str]], int], of: int
) -> None:
    """Of so many candidates the chosen one becomes the reply: it takes the place of the first."""
    for at in range(0, len(rows), of):
        candidates = rows[at : at + of]
        chosen = pick(prompts[candidates[0].prompt][0], [row.reply(base).text for row in candidates])
        for number, row in enumerate(candidates):
            row.candidate = (number - chosen) % of


def _read(base: LoadedBase, prompt: str, variant: Variant, decoding: Decoding) -> list[int]:
    """Token ids of a prompt in a variant's chat format."""
    ids = base.tokenizer(base.render(prompt, variant.template), add_special_tokens=False)["input_ids"]
    if len(ids) + decoding.max_new_tokens > base.context:
        raise BadInput(
            f"The prompt is {len(ids)} tokens long and the reply may have {decoding.max_new_tokens}, "
            f"but the model reads at most {base.context} in all. Shorten the prompt or the reply."
        )
    return list(ids)
