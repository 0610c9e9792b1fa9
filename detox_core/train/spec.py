"""What a training run is to do, as one value that is written down, shown, and repeated. Imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from detox_core.errors import BadInput


@dataclass(frozen=True)
class Method:
    """A way to train.

    Attributes:
        needs: what every row of the data must have: replies, pairs (a reply and a worse one) or prompts.
        rate: learning rate where none is given; for adapters, ten times what whole models take.
    """

    label: str
    about: str
    needs: str
    rate: float


METHODS = {
    "sft": Method("SFT", "Fine-tunes on replies; the loss counts the reply's tokens only.", "replies", 1e-3),
    "dpo": Method("DPO", "Prefers a reply over a worse one, without a reward model (Rafailov et al. 2023).", "pairs", 3e-4),
    "kto": Method("KTO", "Learns from replies marked good or bad, one by one (Ethayarajh et al. 2024).", "pairs", 3e-4),
    "rloo": Method("RLOO", "Reinforces replies of its own that a scorer finds harmless (Ahmadian et al. 2024).", "prompts", 3e-4),
    "grpo": Method("GRPO", "As RLOO, with group-scaled rewards and the KL in the loss (Shao et al. 2024).", "prompts", 3e-4),
    "ppo": Method(
        "PPO", "Reinforces as the paper did, with a value head and an adaptive KL penalty (Schulman et al. 2017).", "prompts", 3e-4
    ),
}
CHOICES = {  # settings that are one of a few words
    "reward": ("log-odds", "probability"),
    "unscored": ("floor", "none"),
    "reference": ("start", "base"),
    "guards": ("warn", "stop", "off"),
    "strategy": ("ddp", "fsdp"),
}
LIMITS = {  # least and most
    "steps": (1, 100_000),
    "rows": (1, 10_000_000),
    "batch": (1, 512),
    "learning_rate": (1e-8, 1.0),
    "rank": (1, 512),
    "max_length": (16, 32_768),
    "beta": (0.0, 10.0),
    "samples": (2, 64),
    "max_new_tokens": (4, 1024),
    "seed": (0, 2**31 - 1),
    "probe_every": (1, 100_000),
    "best_of": (2, 64),
    "similarity": (0.0, 100.0),
    "length": (0.0, 100.0),
    "mini_batch": (1, 512),
    "processes": (1, 64),
    "kl_limit": (0.0, 1_000.0),
    "attention_entropy": (0.0, 10.0),
}
FRACTIONS = ("learning_rate", "beta", "similarity", "length", "kl_limit", "attention_entropy")


@dataclass(frozen=True)
class TrainSpec:
    """One training run. Equal specs give equal weights on the same CPU.

    Attributes:
        name: any words; becomes the new variant's label.
        base: the variant to start from; its adapter, if it has one, is trained on.
        data: a data set as `read_dataset` takes it.
        rows: at most so many, drawn with the seed; None = all.
        steps: optimiser steps.
        batch: rows a step; for RLOO and GRPO replies a step, a multiple of `samples`; for PPO prompts, one reply each.
        learning_rate: None = the method's.
        rank: of the LoRA on all linear layers; its alpha is twice that.
        max_length: tokens of prompt and reply together; longer rows are cut.
        attention_entropy: weight of EAR's regulariser (SFT), see `ear.py`; 0 = none.
        best_of: for DPO and KTO: make the pairs here, the best and the worst of so many replies of the base; None = from the data.
        beta: weight of the KL to `reference` (DPO, KTO, RLOO, GRPO, PPO, where it adapts).
        reference: what the KL is measured to: start (the variant as it was) or base (the model without any adapter).
        scorers: scorer -> weight of its judgement that a reply is not toxic.
        reward: log-odds of that, clipped to [-4, 4], or its probability.
        unscored: what a reply gets that no scorer can judge: the floor of the reward, or none (no gradient at all).
        similarity: weight of the prompt-reply similarity in the reward, a cosine.
        length: weight of the reply's length in the reward, 1 from 20 words on.
        samples: replies per prompt and step (RLOO, GRPO).
        mini_batch: replies per optimiser step (PPO).
        max_new_tokens: of a reply that is reinforced or made for a pair.
        guards: what happens when training goes astray (see `guards.py`): warn, stop, or off.
        kl_limit: KL in nats per token, beyond which the guards speak.
        probe_every: steps between two looks at the probe prompts.
        processes: how many share the work, through `accelerate launch`; each takes `batch` rows a step.
        strategy: how: ddp (each holds the whole model) or fsdp (the model is spread; for several GPUs).
    """

    name: str
    method: str
    base: str = "it"
    data: str = "counter-narratives"
    rows: int | None = None
    steps: int = 200
    batch: int = 8
    learning_rate: float | None = None
    rank: int = 16
    max_length: int = 256
    attention_entropy: float = 0.0
    best_of: int | None = None
    beta: float = 0.1
    reference: str = "start"
    scorers: dict[str, float] = field(default_factory=lambda: {"local": 1.0})
    reward: str = "log-odds"
    unscored: str = "floor"
    similarity: float = 0.0
    length: float = 0.0
    samples: int = 8
    mini_batch: int = 8
    max_new_tokens: int = 60
    guards: str = "warn"
    kl_limit: float = 1.0
    probe_every: int = 50
    seed: int = 0
    processes: int = 1
    strategy: str = "ddp"

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.learning_rate if self.learning_rate is not None else METHODS[self.method].rate

    def to_yaml(self) -> str:
        """What is worth writing down: name, method, and whatever is not the default."""
        plain, always = asdict(self), ("name", "method", "base", "data", "steps")
        kept = {known.name: plain[known.name] for known in fields(self) if known.name in always or not _default(known, plain[known.name])}
        return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


def _default(known: Any, value: Any) -> bool:
    factory = known.default_factory
    return bool(value == (factory() if callable(factory) else known.default))


def spec_from(data: Mapping[str, Any]) -> TrainSpec:
    """A checked spec.

    Raises:
        BadInput: an unknown or missing setting, or a value out of range; names it.
    """
    known = {f.name for f in fields(TrainSpec)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise BadInput(f"There is no setting {unknown[0]!r}. Known: {', '.join(sorted(known))}.")
    missing = sorted({"name", "method"} - set(data))
    if missing:
        raise BadInput(f"The setting {missing[0]!r} is missing.")
    if data["method"] not in METHODS:
        raise BadInput(f"Unknown method {data['method']!r}. Known: {', '.join(METHODS)}.")
    if not str(data["name"]).strip():
        raise BadInput("The run needs a name.")
    for name, (low, high) in LIMITS.items():
        value = data.get(name)
        if value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not low <= value <= high:
            raise BadInput(f"{name.replace('_', ' ')} is {value!r}; it must be between {low:g} and {high:g}.")
        if name not in FRACTIONS and value != int(value):
            raise BadInput(f"{name.replace('_', ' ')} is {value!r}; it must be a whole number.")
    for name, words in CHOICES.items():
        if data.get(name, words[0]) not in words:
            raise BadInput(f"{name} is {data[name]!r}; it must be {' or '.join(words)}.")
    spec = TrainSpec(**data)
    _check_together(spec)
    return spec


def _check_together(spec: TrainSpec) -> None:
    """Settings that depend on each other."""
    needs = METHODS[spec.method].needs
    if spec.method in ("rloo", "grpo") and spec.batch % spec.samples:
        raise BadInput(f"batch is {spec.batch}; with {spec.samples} samples per prompt it must be a multiple of {spec.samples}.")
    if spec.method == "ppo" and spec.batch % spec.mini_batch:
        raise BadInput(f"batch is {spec.batch}; with mini-batches of {spec.mini_batch} it must be a multiple of {spec.mini_batch}.")
    if spec.best_of and needs != "pairs":
        raise BadInput(f"best of makes pairs, which {METHODS[spec.method].label} does not learn from. Leave it out, or take DPO or KTO.")
    judged = spec.scorers and all(isinstance(weight, int | float) and not isinstance(weight, bool) for weight in spec.scorers.values())
    if (needs == "prompts" or spec.best_of) and not judged:
        raise BadInput("scorers must name at least one scorer with its weight, for example {local: 1}.")
    if spec.attention_entropy and spec.method != "sft":
        raise BadInput(f"attention entropy is for SFT; {METHODS[spec.method].label} does not use it.")
    if spec.method == "ppo" and spec.processes > 1:
        raise BadInput("PPO works in one process. For several, take RLOO or GRPO.")
    if spec.method == "kto" and spec.batch < 2:
        raise BadInput("KTO compares rows with each other: batch must be at least 2.")


def read_spec(path: Path) -> TrainSpec:
    """A spec from a YAML file.

    Raises:
        BadInput: no such file, no YAML mapping, or see `spec_from`; names the file.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise BadInput(f"{path} must hold settings, one `name: value` a line.")
    try:
        return spec_from(data)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
