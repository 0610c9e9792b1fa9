"""CONAN, Multitarget-CONAN and DIALOCONAN (Guerini and colleagues): hate speech answered by counter-narratives."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from detox_core.data.dialogues import split_dialogues
from detox_core.data.reading import Gathering, Reading, plain
from detox_core.data.tables import Table


def read_conan(table: Table, split: str | None = None) -> Reading:
    """Pairs of CONAN (part = language, from the id) or Multitarget-CONAN (part = version of the collection).

    Raises:
        BadInput: no prompts, or an unknown split.
    """
    gathering = Gathering("conan", table, split)
    for number, row in table.rows:
        single = "hateSpeech" in row
        text, reply = (row.get(key) for key in (("hateSpeech", "counterSpeech") if single else ("HATE_SPEECH", "COUNTER_NARRATIVE")))
        gathering.add(
            number,
            text,
            gathering.reply(number, reply) if plain(text).strip() else (),
            id=row.get("cn_id" if single else "INDEX"),
            toxic=True,
            target=row.get("hsType" if single else "TARGET"),
            part=plain(row.get("cn_id"))[:2] if single else row.get("VERSION"),
        )
    return gathering.done()


@dataclass(frozen=True, slots=True)
class _Turn:
    row: int
    text: str
    hateful: bool
    target: str


def read_dialoconan(table: Table, split: str | None = None) -> Reading:
    """One pair for each counter-narrative, with all turns before it; dialogues that share a turn are in the same part.

    Args:
        split: `train`, `validation`, `test`, or a target group; None = all.

    Raises:
        BadInput: no prompts, or an unknown split.
    """
    gathering = Gathering("dialoconan", table, split)
    dialogues = _dialogues(gathering)
    parts = split_dialogues({name: [turn.text for turn in turns] for name, turns in dialogues.items()})
    for name, turns in dialogues.items():
        for at, turn in enumerate(turns):
            if not turn.hateful and (at == 0 or not turns[at - 1].hateful):
                gathering.note(turn.row, "is a counter-narrative that follows no hate speech; it is read as context only")
            if not turn.hateful:
                continue
            answer = turns[at + 1] if at + 1 < len(turns) and not turns[at + 1].hateful else None
            if answer is None:
                gathering.note(turn.row, "is never answered; it is read as a prompt only")
            gathering.add(
                turn.row,
                turn.text,
                (answer.text,) if answer else (),
                id=f"{name}-{at}",
                toxic=True,
                target=turn.target,
                part=parts[name],
                antecedents=tuple(earlier.text for earlier in turns[:at]),
                dialogue=name,
            )
    return gathering.done()


def _dialogues(gathering: Gathering) -> dict[str, list[_Turn]]:
    """The turns of each dialogue in order; a dialogue that repeats another word by word is dropped."""
    found: dict[str, dict[int, _Turn]] = defaultdict(dict)
    for number, row in gathering.table.rows:
        name, text, kind = plain(row.get("dialogue_id")), plain(row.get("text")), plain(row.get("type")).upper()
        turn = _whole(row.get("turn_id"))
        if not text.strip():
            gathering.refuse(number, "has no text")
        elif not name or turn is None or kind not in ("HS", "CN"):
            gathering.refuse(number, 'needs a dialogue_id, a whole number as turn_id, and a type "HS" or "CN"')
        elif turn not in found[name]:
            found[name][turn] = _Turn(number, text, kind == "HS", plain(row.get("TARGET")))
        elif found[name][turn].text == text:
            gathering.duplicates += 1
        else:
            gathering.refuse(number, f"is another turn {turn} of dialogue {name}")
    dialogues, seen = {}, set()
    for name, turns in found.items():
        ordered = [turn for _, turn in sorted(turns.items())]
        texts = tuple(turn.text for turn in ordered)
        if texts in seen:
            gathering.note(ordered[0].row, f"begins dialogue {name}, which repeats another one word by word; left out")
            gathering.duplicates += len(ordered)
        else:
            dialogues[name] = ordered
        seen.add(texts)
    return dialogues


def _whole(value: Any) -> int | None:
    try:
        return int(plain(value))
    except ValueError:
        return None
