"""Everything the Inside view shows of one prompt: gathered in one go, with progress."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from detox_core.data import get_dataset
from detox_core.explain.inside import Activity, Experts, Lens, ToxicVectors, activations, expert_neurons, logit_lens, toxic_vectors
from detox_core.explain.vocabulary import toxic_tokens
from detox_core.interventions.applying import fit
from detox_core.interventions.protocol import Subject
from detox_core.models.loading import LoadedBase
from detox_core.models.variants import UNTUNED
from detox_core.score import get_scorer
from detox_core.types import Comparison, Variant

OnPhase = Callable[[str], None]
PROMPTS = 16  # toxic prompts of the demo set over which activations are averaged
VECTORS = 10


@dataclass(frozen=True, slots=True)
class Insight:
    """What was found inside the variants of one base.

    Attributes:
        of: the variant that probe and neurons were fitted on.
        readers: all variants that were read, labels by id.
        toxic_words: tokens the lens looks for.
        accuracy, auroc: of the probe on examples it was not fitted on.
        begun: the words of a reply after which the lens looks for a toxic word; empty = for the first word.
        lens: one per reader, of the prompt; activity: one per reader, of the neurons of `vectors`, over toxic prompts.
        prompts: how many.
    """

    of: str
    readers: dict[str, str]
    toxic_words: int
    begun: str
    accuracy: float
    auroc: float
    vectors: ToxicVectors
    experts: tuple[Experts, ...]
    lens: tuple[Lens, ...]
    activity: tuple[Activity, ...]
    prompts: int


def insight(
    record: Comparison,
    variants: Sequence[Variant],
    base: LoadedBase,
    on_phase: OnPhase = lambda _phase: None,
    stop: threading.Event | None = None,
) -> Insight:
    """Look into the variants of one base.

    Args:
        record: whose prompt is read, and whose first reply with a toxic word shows the lens where to look.
        variants: with the same base; the untuned one among them, or the first, is what is fitted on.
        on_phase: told what is done.

    Raises:
        BadInput, ModelError, ScorerError: it cannot be read, see `inside.py`.
        InterruptedError: stopped.
    """
    stop = stop or threading.Event()
    of = next((variant for variant in variants if variant.id in UNTUNED), variants[0])
    of = replace(of, interventions=())
    told = lambda what, done, count: on_phase(f"learning {what}: step {done} of {count}")  # noqa: E731
    probe, neurons = (fit(base, of, name, told, stop) for name in ("probe", "neurons"))
    ids = toxic_tokens(base, get_scorer(), tell=lambda done, count: on_phase(f"scoring the vocabulary: word {done} of {count}"), stop=stop)
    begun = before_toxic_word(base, record, {variant.id for variant in variants})
    vectors = toxic_vectors(Subject(base, of), probe, VECTORS)
    texts = [one.text for one in get_dataset("demo") if one.toxic][:PROMPTS]
    lens, activity = [], []
    for number, variant in enumerate(variants, start=1):
        if stop.is_set():
            raise InterruptedError("Stopped.")
        on_phase(f"reading: model {number} of {len(variants)}")
        lens += logit_lens(base, [variant], record.prompt, ids, begun)
        activity += activations(base, [variant], texts, [(vector.layer, vector.neuron) for vector in vectors.vectors])
    return Insight(
        of=of.label,
        readers={variant.id: variant.label for variant in variants},
        toxic_words=len(ids),
        begun=str(base.tokenizer.decode(list(begun), skip_special_tokens=True)).strip(),
        accuracy=probe.meta["notes"]["probe_accuracy"],
        auroc=probe.meta["notes"]["probe_auroc"],
        vectors=vectors,
        experts=tuple(expert_neurons(neurons)),
        lens=tuple(lens),
        activity=tuple(activity),
        prompts=len(texts),
    )


def before_toxic_word(base: LoadedBase, record: Comparison, readers: set[str]) -> tuple[int, ...]:
    """The tokens before the first toxic word of the first reply that has one, by a model with this tokenizer; none = no reply has."""
    for reply in record.generations:
        if reply.spans and reply.variant in readers:
            for count in range(len(reply.tokens)):
                text = str(base.tokenizer.decode(list(reply.tokens[: count + 1]), skip_special_tokens=True)).lstrip()
                if len(text) > reply.spans[0].start:
                    return reply.tokens[:count]
    return ()
