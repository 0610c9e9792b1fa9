"""Texts with a better and a worse version: hh-rlhf (Bai et al. 2022) and ParaDetox (Logacheva et al. 2022)."""

import re

from detox_core.data.reading import Gathering, Reading, plain
from detox_core.data.tables import Table

SPEAKER = re.compile(r"\n\n(Human|Assistant):")


def read_hh(table: Table, split: str | None = None) -> Reading:
    """One pair for each row: last question, chosen answer, rejected answer, and the conversation before.

    Raises:
        BadInput: no prompts, or an unknown split.
    """
    gathering = Gathering("hh", table, split)
    for number, row in table.rows:
        chosen, rejected = (_turns(plain(row.get(side))) for side in ("chosen", "rejected"))
        if [speaker for speaker, _ in chosen[-2:]] != ["Human", "Assistant"]:
            gathering.refuse(number, "has a chosen transcript that does not end in a question of Human and an answer of Assistant")
            continue
        same = chosen[:-1] == rejected[:-1]
        if not same:
            gathering.note(number, "has transcripts that differ before the last answer; only the chosen one is read")
        *before, (_, question), (_, answer) = chosen
        gathering.add(
            number,
            question,
            gathering.reply(number, answer) if question else (),
            antecedents=tuple(text for _, text in before),
            rejected=rejected[-1][1] if same else "",
        )
    return gathering.done()


def _turns(transcript: str) -> list[tuple[str, str]]:
    """Speaker and text of each turn."""
    _, *rest = SPEAKER.split("\n\n" + transcript.lstrip("\n"))
    return [(speaker, text.strip()) for speaker, text in zip(rest[::2], rest[1::2], strict=True)]


def read_paradetox(table: Table, split: str | None = None) -> Reading:
    """Toxic sentences with up to three neutral rewrites, each a pair.

    Raises:
        BadInput: no prompts, or an unknown split.
    """
    gathering = Gathering("paradetox", table, split)
    for number, row in table.rows:
        text = row.get("toxic", row.get("en_toxic_comment"))
        names = ("neutral1", "neutral2", "neutral3", "en_neutral_comment")
        rewrites = tuple(text for text in (plain(row.get(name)) for name in names) if text.strip())
        gathering.add(number, text, rewrites or gathering.reply(number, None), toxic=True)
    return gathering.done()
