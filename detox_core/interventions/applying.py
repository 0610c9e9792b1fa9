"""Fit what is missing, and apply what a variant asks for, in a fixed order, with an exact way back."""

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import torch

from detox_core.data import read_dataset
from detox_core.errors import BadInput, ModelError
from detox_core.interventions.artifacts import DATA, artifact_folder, read_artifact, write_artifact
from detox_core.interventions.protocol import Artifact, Example, Patch, Row, Steering, Subject
from detox_core.interventions.registry import FITS, METHODS, ORDER, Card, resolve
from detox_core.models.loading import LoadedBase
from detox_core.types import Variant

NOTHING = Artifact({}, {}, {})
SEED = 0  # of the choice of examples
LARGE, FEWER = 2**28, 4  # bytes of a model from which a fit takes a quarter of the examples: it reads some eight texts a second on a CPU
OnPhase = Callable[[str, int, int], None]  # what is learnt, done, of how many


def fit_missing(
    base: LoadedBase,
    variant: Variant,
    tell: OnPhase = lambda _what, _done, _all: None,
    stop: threading.Event | None = None,
    data: str = DATA,
) -> None:
    """Fit whatever the interventions of a variant have to learn first and have not yet.

    Raises:
        BadInput: the data set has no prompts with a good and a bad reply.
        ModelError: the method does not work with this model.
        InterruptedError: stopped.
    """
    for name in fits_needed(variant):
        fit(base, variant, name, tell, stop or threading.Event(), data)


def fits_needed(variant: Variant) -> list[str]:
    """Keys of `FITS` that a variant's interventions use, each once."""
    return list(dict.fromkeys(card.fit for card in _cards(variant) if card.fit))


def fit(base: LoadedBase, variant: Variant, name: str, tell: OnPhase, stop: threading.Event, data: str = DATA) -> Artifact:
    """Learn one fit on the plain variant, or read it if it was made before."""
    subject, card = Subject(base, replace(variant, interventions=())), FITS[name]
    found = read_artifact(name, subject, data)
    if found is not None:
        return found
    chosen = examples(data, card.pairs if base.bytes < LARGE else -(-card.pairs // FEWER))
    digest = hashlib.sha256(json.dumps([(one.prompt, one.good, one.bad) for one in chosen]).encode()).hexdigest()
    folder = artifact_folder(name, subject, data)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        fitted = resolve(card.path)(subject, chosen, lambda done, count: tell(card.what, done, count), stop, folder)
    write_artifact(name, subject, data, digest, fitted, time.perf_counter() - began, len(chosen))
    made = read_artifact(name, subject, data)
    assert made is not None
    return made


def fits_of(base: LoadedBase, variant: Variant) -> dict[str, str]:
    """Which fits a variant's interventions use: name -> what it depends on, in short."""
    subject = Subject(base, replace(variant, interventions=()))
    return {
        f"{name} of {variant.base} {variant.adapter or ''}".strip(): artifact_folder(name, subject).name for name in fits_needed(variant)
    }


def examples(data: str, count: int) -> list[Example]:
    """So many prompts of a data set with a good and a bad reply, drawn with a fixed seed; of prompts marked harmless none.

    Raises:
        BadInput: there are none.
    """
    reading = read_dataset(data)
    harmless = {prompt.text for prompt in reading.prompts if prompt.toxic is False}
    found = [Example(pair.prompt, pair.reply, pair.rejected) for pair in reading.pairs if pair.rejected and pair.prompt not in harmless]
    if not found:
        raise BadInput(f"{data} has no prompts with a good and a bad reply, which fitting learns from. Choose another data set.")
    random.Random(SEED).shuffle(found)
    return found[:count]


@contextmanager
def applied(base: LoadedBase, variant: Variant) -> Iterator[Patch]:
    """Inside, the model is changed as the variant asks: weights, then adapters, hooks, prompt, logits, choice of replies.

    A strength of 0 installs nothing. Everything is as before afterwards, also when something was raised; contexts nest.

    Raises:
        ModelError: a fit is missing (see `fit_missing`), or a method does not work with this model.
    """
    subject, patch = Subject(base, replace(variant, interventions=())), Patch()
    strengths = dict(variant.interventions)
    with ExitStack() as stack:
        cards = _cards(variant)
        artifacts = [read_artifact(card.fit, subject) if card.fit else NOTHING for card in cards]  # hangs all adapters on before any hook
        for card, artifact in zip(cards, artifacts, strict=True):
            if artifact is None:
                raise ModelError(f"{card.label} has learnt nothing about {variant.label} yet. Fit it first: detox_core fit {variant.id}")
            patch = joined(patch, stack.enter_context(resolve(card.apply)(subject, artifact, strengths[card.id])))
        yield patch


@contextmanager
def applied_inside(base: LoadedBase, variant: Variant) -> Iterator[Patch]:
    """`applied` for whoever reads the model itself, as attribution and perplexity do.

    Raises:
        ModelError: an intervention that changes probabilities after the model has read; or see `applied`.
    """
    with applied(base, variant) as patch:
        if patch.steer:
            raise ModelError(f"{variant.label} changes probabilities after the model has read; this looks at the model alone.")
        yield patch


def _cards(variant: Variant) -> list[Card]:
    """What is really applied, in order."""
    cards = [METHODS[name] for name, strength in variant.interventions if strength != 0]
    return sorted(cards, key=lambda card: ORDER.index(card.kind))


def joined(first: Patch, second: Patch) -> Patch:
    """Both patches in one: the second rewrites and steers what the first left."""
    return Patch(
        rewrite=_chain(first.rewrite, second.rewrite),
        steer=_both(first.steer, second.steer),
        candidates=first.candidates * second.candidates,
        pick=second.pick or first.pick,
        rows=first.rows + second.rows - 1,
    )


def _chain(first: Callable[[str], str] | None, second: Callable[[str], str] | None) -> Callable[[str], str] | None:
    if first is None or second is None:
        return first or second
    return lambda text: second(first(text))


def _both(first: Callable[[Sequence[Row]], Steering] | None, second: Callable[[Sequence[Row]], Steering] | None):
    if first is None or second is None:
        return first or second
    return lambda rows: _Chain([first(rows), second(rows)])


class _Chain:
    """Several steerings, one after the other."""

    def __init__(self, parts: list[Steering]) -> None:
        self.parts = parts

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        for part in self.parts:
            logits = part(ids, logits)
        return logits

    def keep(self, rows: list[int]) -> None:
        for part in self.parts:
            part.keep(rows)
