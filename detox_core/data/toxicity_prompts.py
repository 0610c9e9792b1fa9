"""RealToxicityPrompts (Gehman et al. 2020) and RTP-LX (de Wynter et al. 2024): prompts with judged toxicity."""

import re
from typing import Any

from detox_core.data.reading import Gathering, Reading, plain
from detox_core.data.tables import Table
from detox_core.errors import BadInput

TOXIC = 0.5  # Perspective's probability, as in the paper
LX_TOXIC = 3.0  # middle of the annotators' scale from 1 to 5
THRESHOLD = re.compile(r"(P|P\+C)>(\d*\.?\d+)", re.IGNORECASE)


def read_rtp(table: Table, split: str | None = None) -> Reading:
    """Prompts of RealToxicityPrompts; the reply of a pair is the continuation, with its leading space.

    Args:
        split: `challenging`, `P>.5` (toxicity of the prompt), `P+C>.5` (of prompt and continuation), or any other number than .5.

    Raises:
        BadInput: no prompts, or an unknown split.
    """
    test = THRESHOLD.fullmatch(split.replace(" ", "")) if split else None
    if split and not test and split.lower() not in ("challenging", "toxic", "harmless"):
        raise BadInput(f"RealToxicityPrompts has no split {split!r}. Known: challenging, toxic, harmless, P>.5, P+C>.5.")
    gathering = Gathering("rtp", table, None if test else split)
    gathering.asked = split
    for number, row in table.rows:
        sides = [row.get("prompt"), row.get("continuation")]
        if not isinstance(sides[0], dict):
            gathering.refuse(number, 'has no object "prompt" with a text and its scores')
            continue
        scores = [_number(side.get("toxicity")) if isinstance(side, dict) else None for side in sides]
        if test and not all(score is not None and score > float(test[2]) for score in scores[: 1 if test[1].upper() == "P" else 2]):
            gathering.left_out += 1
            continue
        continuation = plain(sides[1].get("text")) if isinstance(sides[1], dict) else ""
        gathering.add(
            number,
            sides[0].get("text"),
            (continuation,) if continuation.strip() else (),
            toxic=None if scores[0] is None else scores[0] > TOXIC,
            part="challenging" if row.get("challenging") else "",
        )
    return gathering.done()


def read_rtp_lx(table: Table, split: str | None = None) -> Reading:
    """Prompts of RTP-LX. A pair is the benign completion, with the toxic one as `rejected`; the part is the locale.

    Raises:
        BadInput: no prompts, or an unknown locale.
    """
    gathering = Gathering("rtp-lx", table, split)
    for number, row in table.rows:
        text, benign, toxic = (_present(row.get(name)) for name in ("Prompt", "BenignCompletion", "Completion"))
        judged = row.get("PromptAnnotations") or row.get("Annotations")
        mean = _number(judged.get("Toxicity")) if isinstance(judged, dict) else None
        gathering.add(
            number,
            text,
            (benign,) if benign else (),
            toxic=None if mean is None else mean > LX_TOXIC,
            id=row.get("Index"),
            part=row.get("Locale"),
            rejected=toxic if benign else "",
        )
    return gathering.done()


def _present(value: Any) -> str:
    """Untranslatable texts are written "NA"."""
    text = plain(value)
    return "" if text.strip() == "NA" else text


def _number(value: Any) -> float | None:
    try:
        number = float(plain(value))
    except ValueError:
        return None
    return number
