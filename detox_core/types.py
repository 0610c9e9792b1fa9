"""The nouns of the project as frozen values. Standard library and numpy only; knows nothing of models or pages."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

BUCKETS = (("low", 0.33), ("medium", 0.66), ("high", 1.0))  # upper bounds, Scalena et al. 2023

Finish = Literal["eos", "turn", "length", "stopped"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A model and what was done to it.

    Attributes:
        id: what a person types: `it`, `ft`, `rl`, or the name of a finished run.
        label: short name shown on a column.
        base: folder or Hub id of the base model.
        adapter: folder or Hub id of a LoRA adapter on that base; None = the base itself.
        template: name of a chat format; None = the tokenizer's own.
        dtype: weights in memory: auto, float32, bfloat16 or float16.
        quantization: None, 8bit or 4bit (bitsandbytes).
        about: one line on where it comes from.
        interventions: (method, strength) of what is changed while it writes, for example `(("aura", 0.8),)`.
    """

    id: str
    label: str
    base: str
    adapter: str | None = None
    template: str | None = None
    dtype: str = "auto"
    quantization: str | None = None
    about: str = ""
    interventions: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        given = tuple((str(method), float(strength)) for method, strength in self.interventions)  # JSON has lists
        object.__setattr__(self, "interventions", given)

    @property
    def base_key(self) -> tuple[str, str, str | None]:
        """Variants with equal keys share one base model in memory."""
        return (self.base, self.dtype, self.quantization)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a data set.

    Attributes:
        id: unique within its data set.
        toxic: whether the prompt itself is toxic; None = nobody said.
        part: class or split, for example `unseen-topic`.
        target: the group it speaks of.
    """

    id: str
    text: str
    toxic: bool | None = None
    part: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to generate. Temperature 0 is greedy; the defaults are those of Scalena et al. 2023 for RedPajama.

    Attributes:
        seed: the same seed gives the same text, whatever else is decoded beside it.
        temperature: divides the logits; 0 = always the most probable token.
        top_p: keep the smallest set of tokens with at least this probability mass.
        max_new_tokens: length limit of a reply, in tokens.
        samples: replies per prompt and variant.
    """

    seed: int = 0
    temperature: float = 0.7
    top_p: float = 0.8
    max_new_tokens: int = 60
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Score:
    """One number for one text by one scorer.

    Attributes:
        value: probability in [0, 1] that a rater calls the text toxic; NaN = not scored, with a `reason`.
        scorer: id of the scorer.
        revision: which weights or service version gave the number.
        attributes: further probabilities by name, for example INSULT.
        reason: why there is no value.
    """

    value: float
    scorer: str
    revision: str
    attributes: dict[str, float] = field(default_factory=dict)
    reason: str | None = None

    @property
    def scored(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    @property
    def also(self) -> str:
        """The further attributes that probably apply (above 0.5), highest first, for example "hate 0.91, insult 0.66"."""
        high = sorted(((value, name) for name, value in self.attributes.items() if value > 0.5), reverse=True)
        return ", ".join(f"{name.lower().replace('_', ' ')} {value:.2f}" for value, name in high)


@dataclass(frozen=True, slots=True)
class Span:
    """A word of a text and how much of the score hangs on it.

    Attributes:
        start, end: character offsets, `text[start:end]`.
        weight: fall of the score's log-odds when the word is left out.
    """

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Whether a reply is an answer at all, whatever its toxicity.

    Attributes:
        similarity: cosine of prompt and reply by a sentence encoder, -1 to 1; NaN = empty.
        perplexity: exp of the mean negative log-probability of the reply's tokens under the comparison's untuned model; NaN = not read.
        problem: why it is none, for example "repeats itself"; None = nothing found.
    """

    similarity: float
    perplexity: float
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """One reply of one variant.

    Attributes:
        tokens: ids of the reply, end-of-text token excluded.
        logprobs: natural-log probability of each token under the model at temperature 1, same length as `tokens`.
        finish: eos = ended by itself; turn = began another user turn (cut off); length; stopped = by the person.
        seconds: from the start of its batch to its last token.
        read: the prompt as the model read it, where an intervention rewrote it; empty = as typed.
    """

    variant: str
    sample: int
    text: str
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finish: Finish = "eos"
    seconds: float = 0.0
    score: Score | None = None
    spans: tuple[Span, ...] = ()
    quality: Quality | None = None
    read: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One prompt answered by several variants: the record that is stored, linked and exported.

    Attributes:
        id: short random identifier, the `x` of a link.
        variants: the columns, in order.
        errors: variant id -> sentence, for columns that failed.
        versions: packages and model fingerprints the answers came from.
    """

    id: str
    created: str
    prompt: str
    variants: tuple[Variant, ...]
    decoding: Decoding
    scorer: str
    prompt_score: Score | None = None
    prompt_spans: tuple[Span, ...] = ()
    generations: tuple[Generation, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def of(self, variant: str) -> list[Generation]:
        """The replies of one variant, by sample number."""
        return sorted((g for g in self.generations if g.variant == variant), key=lambda g: g.sample)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; NaN becomes None."""
        return nan_to_none(asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Comparison":
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError: the dictionary is not a comparison.
        """
        return cls(
            **{
                **data,
                "variants": tuple(Variant(**v) for v in data["variants"]),
                "decoding": Decoding(**data["decoding"]),
                "prompt_score": _score(data["prompt_score"]),
                "prompt_spans": tuple(Span(**span) for span in data["prompt_spans"]),
                "generations": tuple(_generation(g) for g in data["generations"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Vote:
    """What one visitor would post.

    Attributes:
        visitor: random token of one page load; it says nothing about the person or the phone.
        ballot: which answers were voted on, so that each visitor has one vote on them.
        prompt: the prompt, if it is a curated one or prompts may be kept; None = a prompt that is not kept.
        variant: id of what was voted for.
        letter: what it stood under on the visitor's screen.
    """

    visitor: str
    ballot: str
    prompt: str | None
    variant: str
    letter: str
    created: str


def bucket(value: float) -> str:
    """Name of the bucket a score falls into; "not scored" for NaN."""
    if math.isnan(value):
        return "not scored"
    return next(name for name, upper in BUCKETS if value <= upper)


def _score(data: dict[str, Any] | None) -> Score | None:
    if data is None:
        return None
    return Score(**{**data, "value": math.nan if data["value"] is None else data["value"]})


def _quality(data: dict[str, Any] | None) -> Quality | None:
    if data is None:
        return None
    similarity, perplexity = (math.nan if data[name] is None else data[name] for name in ("similarity", "perplexity"))
    return Quality(similarity, perplexity, data["problem"])


def _generation(data: dict[str, Any]) -> Generation:
    generation = Generation(**{**data, "score": _score(data["score"]), "quality": _quality(data.get("quality"))})
    return replace(
        generation,
        tokens=tuple(generation.tokens),
        logprobs=tuple(generation.logprobs),
        spans=tuple(Span(**span) for span in data["spans"]),
    )


def nan_to_none(value: Any) -> Any:
    """The same JSON types with None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: nan_to_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_none(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
