"""Every intervention by name, with what to know of it before trusting it, as lazy paths. Imports no torch.

A new method is one file with an `apply` (and a `fit`, if it learns anything), and its card here.
"""

import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from detox_core.errors import BadInput

Kind = Literal["weights", "adapter", "hook", "prompt", "logits", "rerank"]
ORDER: tuple[Kind, ...] = ("weights", "adapter", "hook", "prompt", "logits", "rerank")  # in which composed methods are applied
MOST = 2  # methods on one variant
HERE = "detox_core.interventions"


@dataclass(frozen=True, slots=True)
class Card:
    """One method.

    Attributes:
        about: what it does, for people.
        source: where it comes from.
        unit: what strength 1 means.
        high, default, step: of the strength; 0 is always the plain model.
        low: below 0 = strengths that make the model more toxic; they need the research switch.
        apply: `module:function` called with (subject, artifact, strength), a context manager that yields a Patch.
        fit: key of `FITS` of what it has to learn first; None = nothing.
        cost: forward passes per token, as the literature counts them.
        research: makes a model more toxic at any strength.
        misses: what to keep in mind.
    """

    id: str
    label: str
    kind: Kind
    about: str
    source: str
    unit: str
    apply: str
    fit: str | None = None
    low: float = 0.0
    high: float = 1.0
    default: float = 1.0
    step: float = 0.1
    cost: float = 1.0
    research: bool = False
    misses: str = ""


@dataclass(frozen=True, slots=True)
class FitCard:
    """What one or several methods learn from examples.

    Attributes:
        what: for people, ends the sentence "Learning ...".
        path: `module:function` called with (subject, pairs, tell, stop), which returns a Fitted.
        pairs: how many examples of a good and a bad reply it takes.
        version: raised when a fit would come out differently.
    """

    what: str
    path: str
    pairs: int = 500
    version: int = 1


FITS: dict[str, FitCard] = {
    "neurons": FitCard("which neurons tell toxic from other text", f"{HERE}.aura:fit"),
}

_CARDS: tuple[Card, ...] = (
    Card(
        "self-reminder",
        "Self-Reminder",
        "prompt",
        "Two sentences around the prompt ask for a kind and responsible answer.",
        "Xie et al. 2023",
        "the reminder stands around the prompt",
        f"{HERE}.self_reminder:apply",
        step=1.0,
        misses="A model that follows no instructions takes it for a part of the conversation.",
    ),
    Card(
        "aura",
        "AURA",
        "hook",
        "Neurons that react more to toxic than to other text are turned down, the more the better they tell the two apart.",
        "Suau et al. 2024 (Whispering Experts)",
        "each neuron is multiplied by 1 - Gini = 1 - 2 (AUROC - 0.5)",
        f"{HERE}.aura:aura",
        fit="neurons",
        low=-1.0,
        misses="Neurons that tell toxic text from other text also read it: the model understands less of the prompt.",
    ),
    Card(
        "det0",
        "Det-zero",
        "hook",
        "The neurons that best tell toxic from other text are switched off.",
        "Suau et al. 2024 (Whispering Experts)",
        "the best 5 % of the neurons with AUROC above 0.5 give 0",
        f"{HERE}.aura:det0",
        fit="neurons",
        low=-1.0,
        misses="How many neurons to switch off is a guess, which AURA does without.",
    ),
    Card(
        "damp",
        "DAMP",
        "hook",
        "The neurons that best tell toxic from other text are halved.",
        "Suau et al. 2024 (Whispering Experts)",
        "the best 5 % of the neurons with AUROC above 0.5 give half",
        f"{HERE}.aura:damp",
        fit="neurons",
        low=-1.0,
        high=2.0,
        misses="As for Det-zero; at strength 2 it is Det-zero.",
    ),
)
METHODS: dict[str, Card] = {card.id: card for card in _CARDS}


def research() -> bool:
    """Whether strengths that make a model more toxic are allowed: DETOX_RESEARCH=1."""
    return os.environ.get("DETOX_RESEARCH") == "1"


def check_interventions(given: tuple[tuple[str, float], ...], *, allowed: bool | None = None) -> None:
    """Refuse what cannot be applied, before anything is loaded.

    Args:
        allowed: whether the research switch is on; None = as `research` says.

    Raises:
        BadInput: an unknown method, a strength out of its range, more than two methods, one twice, or what needs the research switch.
    """
    if len(given) > MOST:
        raise BadInput(f"At most {MOST} interventions can be combined on one variant; these are {len(given)}.")
    if len({method for method, _ in given}) < len(given):
        raise BadInput(f"An intervention is named twice: {', '.join(method for method, _ in given)}.")
    for method, strength in given:
        card = METHODS.get(method)
        if card is None:
            raise BadInput(f"There is no intervention {method!r}. Known: {', '.join(METHODS)}.")
        if not card.low <= strength <= card.high:
            raise BadInput(f"The strength of {card.label} is {strength:g}; it must be between {card.low:g} and {card.high:g}.")
        toxic = card.research and strength != 0
        if (toxic or strength < 0) and not (research() if allowed is None else allowed):
            raise BadInput(
                f"{card.label} at strength {strength:g} makes a model more toxic. It needs the research switch: "
                "turn it on under Settings, or give --research."
            )


def resolve(path: str) -> Any:
    """The function behind a lazy path."""
    module, name = path.split(":")
    return getattr(import_module(module), name)
