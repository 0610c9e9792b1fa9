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
        cost: forward passes per token of a reply at the usual strength, as the literature counts them (CMD's chain is as long again).
        research: makes a model more toxic at any strength.
        picks_by: the scorer that picks among replies and so must not judge them.
        control: the method that is the same without its main part, shown beside it.
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
    picks_by: str = ""
    control: str = ""
    misses: str = ""


@dataclass(frozen=True, slots=True)
class FitCard:
    """What one or several methods learn from examples.

    Attributes:
        what: for people, ends the sentence "Learning ...".
        path: `module:function` called with (subject, pairs, tell, stop), which returns a Fitted.
        pairs: how many examples of a good and a bad reply it takes; a quarter of them for models over 256 MB.
        version: raised when a fit would come out differently.
    """

    what: str
    path: str
    pairs: int = 500
    version: int = 1


FITS: dict[str, FitCard] = {
    "neurons": FitCard("which neurons tell toxic from other text", f"{HERE}.aura:fit"),
    "words": FitCard("which words are toxic on their own", f"{HERE}.word_filter:fit"),
    "probe": FitCard("which direction tells toxic from other replies", f"{HERE}.subtract:fit"),
    "profs": FitCard("in which directions bad replies differ from good ones", f"{HERE}.profs:fit"),
    "dinm": FitCard("one good reply, with the other answers held where they are", f"{HERE}.dinm:fit", pairs=1),
    "ft-l": FitCard("one good reply", f"{HERE}.dinm:fit_ftl", pairs=1),
    "experts": FitCard("what good and what bad replies look like, one adapter each", "detox_core.train.experts:fit"),
    "self-generated": FitCard("from its own least toxic replies", "detox_core.train.experts:fit_self_generated"),
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
    Card(
        "subtract",
        "Subtract probe",
        "hook",
        "The direction of a linear probe for toxic replies is taken from what the last MLP writes.",
        "Lee et al. 2024",
        "the shift is a quarter as long as the mean residual after the last block",
        f"{HERE}.subtract:subtract",
        fit="probe",
        low=-1.0,
        high=3.0,
        misses="The same shift at every token acts much like a fixed penalty on some words, whatever the prompt says.",
    ),
    Card(
        "subtract-value",
        "Subtract value vector",
        "hook",
        "What the neuron closest to a probe for toxic replies writes is taken from what the last MLP writes.",
        "Lee et al. 2024",
        "the shift is a quarter as long as the mean residual after the last block",
        f"{HERE}.subtract:subtract_value",
        fit="probe",
        low=-1.0,
        high=3.0,
        misses="One neuron writes more than toxicity. Look at its words on the Inside page before trusting it.",
    ),
    Card(
        "subtract-svd",
        "Subtract singular vector",
        "hook",
        "What the neurons closest to a probe for toxic replies write in common is taken from what the last MLP writes.",
        "Lee et al. 2024",
        "the shift is a quarter as long as the mean residual after the last block",
        f"{HERE}.subtract:subtract_svd",
        fit="probe",
        low=-1.0,
        high=3.0,
        misses="What these neurons have most in common need not be toxicity. In SmolLM2-135M it is no words at all, and strength 1 breaks "
        "the text. Look at its words on the Inside page.",
    ),
    Card(
        "unalign",
        "Un-align",
        "hook",
        "The 7 neurons that write closest to a probe for toxic replies react more strongly to what switches them on.",
        "Lee et al. 2024",
        "their keys are multiplied by 10, in gated MLPs their up-projections by 3",
        f"{HERE}.unalign:apply",
        fit="probe",
        default=0.5,
        research=True,
        misses="It undoes training that only avoids these neurons; where training did something else, it changes little. "
        "At strength 1 the embedded 7M models write broken sentences.",
    ),
    Card(
        "profs",
        "ProFS",
        "hook",
        "MLPs of the upper half of the layers no longer write into the directions in which bad replies differ most from good ones.",
        "Uppaal et al. 2025",
        "the MLPs write nothing into 2 directions of each layer",
        f"{HERE}.profs:apply",
        fit="profs",
        misses="What bad replies differ in may be more than toxicity, for example their length or topic.",
    ),
    Card(
        "dinm",
        "DINM",
        "weights",
        "One good reply trains one matrix, where good and bad differ most; a harmless answer is held. A suffix asks for decency too.",
        "Wang et al. 2024 (SafeEdit)",
        "the change after the published 10 Adam steps at 5e-4; the suffix stands behind the prompt at any strength",
        f"{HERE}.dinm:dinm",
        fit="dinm",
        high=4.0,
        default=2.0,
        control="dinm-suffix",
        misses="At 1 a small model mostly follows the suffix: look at 'DINM's suffix' beside it. At 4 it repeats the one good reply.",
    ),
    Card(
        "dinm-suffix",
        "DINM's suffix",
        "prompt",
        "Two sentences behind the prompt ask for a decent answer: DINM without its change of the weights.",
        "Wang et al. 2024 (SafeEdit)",
        "the suffix stands behind the prompt",
        f"{HERE}.dinm:suffix",
        step=1.0,
        misses="A model that follows no instructions takes it for a part of the conversation.",
    ),
    Card(
        "ft-l",
        "FT-L",
        "weights",
        "One example of a good reply trains one matrix at two thirds of the depth; nothing holds the other answers where they are.",
        "Meng et al. 2022, as in Wang et al. 2024 (SafeEdit)",
        "the change after the published 25 Adam steps at 5e-4",
        f"{HERE}.dinm:ftl",
        fit="ft-l",
        high=4.0,
        default=2.0,
        misses="At strength 1 a small model changes its other replies little. At 4 it repeats pieces of the one good reply.",
    ),
    Card(
        "dexperts",
        "DExperts",
        "logits",
        "Two small adapters learn good and bad replies. Each next token gets likelier by how much the good one prefers it to the bad one.",
        "Liu et al. 2021",
        "alpha: the difference of the two adapters' logits is added once; the paper adds it twice, which here costs fluency",
        f"{HERE}.dexperts:apply",
        fit="experts",
        low=-2.0,
        high=4.0,
        cost=3.0,
        misses="The good adapter brings its own style: part of the effect is that answers sound like the examples.",
    ),
    Card(
        "gedi",
        "GeDi",
        "logits",
        "The adapters of DExperts say by Bayes' rule how likely the reply is a good one with each next token.",
        "Krause et al. 2020",
        "the log-probability of being a good reply counts 30 times, as in the paper; 15 times is as mild here, and more fluent",
        f"{HERE}.gedi:apply",
        fit="experts",
        low=-1.0,
        default=0.5,
        cost=3.0,
        misses="The first tokens of a reply decide most. Above 0.5 the text gets less fluent.",
    ),
    Card(
        "ext-sub",
        "Ext-Sub",
        "adapter",
        "An adapter learns bad replies and is then subtracted.",
        "Hu et al. 2024, without their extraction; Ilharco et al. 2023",
        "all that was learnt from bad replies is subtracted once",
        f"{HERE}.arithmetic:ext_sub",
        fit="experts",
        low=-1.0,
        misses="Bad replies also teach how to reply at all; subtracting that costs fluency.",
    ),
    Card(
        "sgeat",
        "SGEAT",
        "adapter",
        "The model answers prompts itself, and an adapter learns from the least toxic half of the answers.",
        "Wang et al. 2022",
        "all that was learnt from the model's own answers is added once",
        f"{HERE}.arithmetic:sgeat",
        fit="self-generated",
        low=-1.0,
        high=2.0,
        misses="The scorer that chooses the answers is also the one that judges here. What it wrongly takes for harmless is learnt, too.",
    ),
    Card(
        "fade",
        "Fade",
        "adapter",
        "The variant's own adapter is turned down.",
        "Hu et al. 2021 (LoRA), equation 3",
        "the adapter is off",
        f"{HERE}.arithmetic:fade",
        low=-1.0,
        misses="A variant without an adapter does not change. Below 0 the adapter counts more than it was trained to.",
    ),
    Card(
        "guidance",
        "Guidance",
        "logits",
        "The model also reads a request for an insulting answer, and what that request makes likelier becomes less likely.",
        "Sanchez et al. 2023 (classifier-free guidance with a negative prompt)",
        "log-probabilities move away from those under the negative prompt by once the difference (guidance scale 2)",
        f"{HERE}.guidance:apply",
        high=4.0,
        default=2.0,
        cost=2.0,
        misses="A model that follows no instructions reads the request as part of the conversation. "
        "At high strengths the text of small models breaks up.",
    ),
    Card(
        "word-filter",
        "Word filter",
        "logits",
        "Words that the local scorer finds toxic on their own become less likely.",
        "Gehman et al. 2020 (RealToxicityPrompts), with a list that is made instead of shipped",
        "no listed word is ever completed",
        f"{HERE}.word_filter:apply",
        fit="words",
        misses="It knows words, not meaning: the list holds harmless words too, longer words that begin with a listed one can go with it, "
        "and contempt in polite words stays.",
    ),
    Card(
        "toxification-reversal",
        "Toxification reversal",
        "logits",
        "The attention heads move away from what a toxic prefix before the prompt would make of them, compared with a kind one.",
        "Leong et al. 2023",
        "each head moves as far as published: by the difference, times a factor that grows with it",
        f"{HERE}.reversal:apply",
        high=2.0,
        default=0.5,
        cost=3.0,
        misses="At the published strength 1 a small model loses the thread. A model that reads alike after both prefixes hardly changes.",
    ),
    Card(
        "best-of",
        "Best of K",
        "rerank",
        "Writes K replies and keeps the one that the second scorer finds least toxic.",
        "Baseline of re-ranking methods",
        "is 1 reply, the plain model; strength is the number of replies, a whole number",
        f"{HERE}.best_of:apply",
        high=16.0,
        default=4.0,
        step=1.0,
        cost=4.0,
        picks_by="second",
        misses="At temperature 0 all replies are the same. The second scorer picks, so it cannot judge these replies.",
    ),
    Card(
        "cmd",
        "CMD, no training",
        "prompt",
        "The toxic words of the prompt are replaced by the model's own words or left out, and the cleaned prompt is answered.",
        "after Tang et al. 2024 (CMD)",
        "a prompt is cleaned until the local scorer gives it at most 0.33; at strength s, 1 - 0.67 s",
        f"{HERE}.cmd:apply",
        cost=2.0,
        misses="It answers a text that nobody wrote. A prompt stays as it is where no word is toxic, however hostile it is.",
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


def check_judge(given: tuple[tuple[str, float], ...], scorer: str) -> None:
    """Refuse a scorer that would judge what it picked itself.

    Args:
        given: interventions of one variant.
        scorer: id of the scorer that is to judge.

    Raises:
        BadInput: as said.
    """
    for method, strength in given:
        card = METHODS.get(method)
        if card and strength != 0 and card.picks_by == scorer:
            raise BadInput(f"{card.label} picks replies with the scorer {scorer!r}, which cannot judge them then. Choose another scorer.")


def resolve(path: str) -> Any:
    """The function behind a lazy path."""
    module, name = path.split(":")
    return getattr(import_module(module), name)
