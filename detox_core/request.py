"""What a person asks for, checked before anything is loaded. Imports no torch."""

import secrets
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

from detox_core.errors import BadInput
from detox_core.interventions.registry import check_judge
from detox_core.types import Comparison, Decoding, Variant

MAX_CHARACTERS = 20_000


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    prompt: str
    variants: tuple[Variant, ...]
    decoding: Decoding = field(default_factory=Decoding)
    scorer: str = "local"


def new_comparison(request: Request) -> Comparison:
    """Check a request and give it an empty record.

    Raises:
        BadInput: an empty or over-long prompt, settings out of range, or a scorer that would judge what it picked.
    """
    check_decoding(request.decoding)
    for variant in request.variants:
        check_judge(variant.interventions, request.scorer)
    return Comparison(
        id=secrets.token_hex(5),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        prompt=clean_prompt(request.prompt),
        variants=request.variants,
        decoding=request.decoding,
        scorer=request.scorer,
        versions={name: version(name) for name in ("torch", "transformers", "peft")},
    )


def clean_prompt(text: str) -> str:
    """The prompt without surrounding blanks and without control characters (tab and newline stay).

    Raises:
        BadInput: nothing is left, or more than 20,000 characters.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadInput(f"The prompt has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read. Shorten it.")
    kept = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs")).strip()
    if not kept:
        raise BadInput("The prompt is empty. Type a sentence first.")
    return kept


def check_decoding(decoding: Decoding) -> None:
    """Refuse settings out of range before anything is loaded.

    Raises:
        BadInput: names the setting, its value and the range.
    """
    limits = {
        "temperature": (0, 2),
        "top_p": (0.05, 1),
        "max_new_tokens": (1, 1024),
        "samples": (1, 25),
        "seed": (0, 2**31 - 1),
    }
    for name, (low, high) in limits.items():
        value = getattr(decoding, name)
        if not low <= value <= high:
            raise BadInput(f"{name.replace('_', ' ')} is {value}; it must be between {low} and {high}.")
    if decoding.temperature == 0 and decoding.samples > 1:
        raise BadInput(f"At temperature 0 all {decoding.samples} samples would be the same. Ask for 1 sample or raise the temperature.")
