"""A finished comparison explained: every variant on its own answer, or all of them on the answer of one."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from detox_core.errors import BadInput, DetoxError
from detox_core.explain.attribution import Target
from detox_core.explain.explanation import Explanation, explain
from detox_core.explain.likelihood import Likelihood, likelihood_from, logs_of
from detox_core.explain.methods import METHODS
from detox_core.generate import read_as
from detox_core.models.loading import LoadedBase
from detox_core.types import Comparison, Generation, Variant

Load = Callable[[Variant], LoadedBase]
OnPhase = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Why:
    """Explanations of one comparison.

    Attributes:
        answer_of: whose answer all variants explain; None = each its own.
        explanations: by variant id.
        likelihoods: by variant id, how likely all variants with the same base (`readers`) find the answer explained there.
        alternatives: by variant id, the texts of its own likeliest tokens in each place.
        errors: variant id -> sentence, for variants that cannot be explained.
    """

    answer_of: str | None
    explanations: dict[str, Explanation]
    likelihoods: dict[str, Likelihood]
    readers: dict[str, tuple[str, ...]]
    alternatives: dict[str, list[list[str]]]
    errors: dict[str, str]


def why(
    record: Comparison,
    load: Load,
    answer_of: str | None = None,
    on_phase: OnPhase = lambda _phase: None,
    stop: threading.Event | None = None,
    method: str = "input_x_gradient",
    target: Target = "probability",
) -> Why:
    """Explain the first reply of each variant, one variant after the other.

    Args:
        load: the base model of a variant, for example `Pool.get`.
        on_phase: called with what is being done: "explaining FT", then for each step "explaining FT: token 12 of 40"; methods that
            take several tokens at once count passes.
        stop: when set, ends with InterruptedError.
        method: any of `METHODS`; where it does not work with a model, `errors` says why.

    Raises:
        BadInput: a method that is not there, or `answer_of` has no answer here.
        InterruptedError: stopped.
    """
    if answer_of is not None and not record.of(answer_of):
        raise BadInput(f"There is no answer of {answer_of!r} to explain.")
    if method not in METHODS:
        raise BadInput(f"There is no method {method!r}. Use {', '.join(METHODS)}.")
    now = Why(answer_of, {}, {}, {}, {}, {})
    for variant in record.variants:
        doing = f"explaining {variant.label}"
        on_phase(doing)
        unit = "pass" if METHODS[method].ours else "token"
        try:
            reply = _reply(record, variant, answer_of)
            base = load(variant)
            told = partial(_tell, on_phase, doing, unit)
            now.explanations[variant.id] = explain(base, variant, record.prompt, reply, method, target, told, stop)
            _read(now, record, variant, base, reply)
        except DetoxError as error:
            now.errors[variant.id] = str(error)
    return now


def _read(now: Why, record: Comparison, variant: Variant, base: LoadedBase, reply: Generation) -> None:
    """How likely the variants with the same base find the reply, and what this one would rather have written."""
    readers = [other for other in record.variants if other.base_key == variant.base_key and other.template == variant.template]
    found = likelihood_from(_logs(base, readers, record.prompt, reply), reply.tokens)
    own = found.top[readers.index(variant)]
    now.likelihoods[variant.id] = found
    now.readers[variant.id] = tuple(reader.id for reader in readers)
    now.alternatives[variant.id] = [[str(base.tokenizer.decode([token])) for token in place] for place in own.tolist()]


def _logs(base: LoadedBase, readers: Sequence[Variant], prompt: str, reply: Generation) -> torch.Tensor:
    """Log-probabilities of all readers (readers, tokens, vocabulary): the plain ones in one pass, the others one by one."""
    ids = base.tokenizer(base.render(prompt, readers[0].template), add_special_tokens=False)["input_ids"]
    plain = [reader for reader in readers if not reader.interventions]
    known = iter(logs_of(base, [base.attach(reader.adapter) for reader in plain], ids, reply.tokens) if plain else ())
    return torch.stack([read_as(base, reader, prompt, reply.tokens) if reader.interventions else next(known) for reader in readers])


def _tell(on_phase: OnPhase, doing: str, unit: str, done: int, count: int) -> None:
    on_phase(f"{doing}: {unit} {done} of {count}")


def _reply(record: Comparison, variant: Variant, answer_of: str | None) -> Generation:
    writer = next((other for other in record.variants if other.id == (answer_of or variant.id)), variant)
    replies = record.of(writer.id)
    if not replies:
        raise BadInput(record.errors.get(writer.id, f"{writer.label} gave no answer."))
    if writer.base_key[0] != variant.base_key[0]:
        raise BadInput(f"{variant.label} cuts text into other tokens than {writer.label}; it can explain its own answer only.")
    return replies[0]
