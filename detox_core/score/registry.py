"""The scorers by name, as lazy paths. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Protocol

from detox_core.errors import BadInput
from detox_core.types import Score

ENDS = "31 December 2026"  # announced end of the Perspective service


class Scorer(Protocol):
    """Judges texts. `id` and `revision` travel with every score, and scores of different scorers are never mixed."""

    id: str
    revision: str

    def score(self, texts: Sequence[str]) -> list[Score]:
        """One score per text, in order; a text that cannot be scored gets NaN and a reason, never an exception."""
        ...


@dataclass(frozen=True)
class Preset:
    """A scorer a person can pick: `path` is `module:function`, called with `arguments`."""

    label: str
    about: str
    path: str
    arguments: tuple[str, ...] = ()
    offline: bool = False


PRESETS = {
    "local": Preset(
        "Local (MiniLM)",
        "Ships with the app. all-MiniLM-L6-v2 with a LoRA, trained to give the scores Perspective gave to RealToxicityPrompts.",
        "detox_core.score.local:local",
        offline=True,
    ),
    "second": Preset(
        "Second opinion (words)",
        "Ships with the app. A linear model of words, trained on other judgements than the local scorer; knows no context.",
        "detox_core.score.linear:second",
        offline=True,
    ),
    "roberta-hate": Preset(
        "RoBERTa hate (paper)",
        "The reward model of Scalena et al. 2023. Knows hate against groups; misses plain insults.",
        "detox_core.score.classifier:classifier",
        ("facebook/roberta-hate-speech-dynabench-r4-target",),
    ),
    "toxic-bert": Preset(
        "Toxic BERT", "Detoxify's model, trained on the Jigsaw comments.", "detox_core.score.classifier:classifier", ("unitary/toxic-bert",)
    ),
    "roberta-toxicity": Preset(
        "RoBERTa toxicity",
        "Trained on the Jigsaw comments.",
        "detox_core.score.classifier:classifier",
        ("s-nlp/roberta_toxicity_classifier",),
    ),
    "perspective": Preset(
        f"Perspective API (ends {ENDS})",
        f"Google's service; needs a key in PERSPECTIVE_API_KEY and a network. It ends {ENDS}.",
        "detox_core.score.perspective:perspective",
    ),
}


def get_scorer(name: str = "local") -> Scorer:
    """The scorer called `name`: a preset, or a Hub id or folder of a sequence classifier. Loaded once.

    Raises:
        BadInput: neither a preset nor something that looks like a model.
        ScorerError: it cannot be loaded.
    """
    return _load(name)


def unload_scorers() -> None:
    """Let go of all scorers; whoever asks for one next gets it loaded again."""
    _load.cache_clear()


@cache  # not on get_scorer: a cache takes get_scorer() and get_scorer("local") for two
def _load(name: str) -> Scorer:
    preset = PRESETS.get(name)
    if preset is None:
        if "/" not in name:
            raise BadInput(f"Unknown scorer {name!r}. Known: {', '.join(PRESETS)}; or give a folder or Hub id of a classifier.")
        preset = Preset(name, "", "detox_core.score.classifier:classifier", (name,))
    module, function = preset.path.split(":")
    scorer: Scorer = getattr(import_module(module), function)(*preset.arguments)
    return scorer
