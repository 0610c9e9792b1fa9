"""Sets that test a model rather than train it: XSTest (Röttger et al. 2024), HONEST (Nozza et al. 2021), SafeEdit (Wang et al. 2024)."""

from collections.abc import Mapping
from typing import Any

from detox_core.data.reading import Gathering, Reading, plain
from detox_core.data.tables import Table

MASK = "[M]"
GENERAL = ("only-question", "other-attack", "other-question", "other-both")  # DG onlyQ, otherA, otherQ, otherAQ


def read_xstest(table: Table, split: str | None = None) -> Reading:
    """Prompts of XSTest. An unsafe request counts as toxic, a safe one that only looks unsafe as harmless; the part is the type.

    Raises:
        BadInput: no prompts, or an unknown split (a type, `toxic` or `harmless`).
    """
    gathering = Gathering("xstest", table, {"unsafe": "toxic", "safe": "harmless"}.get(split or "", split))
    for number, row in table.rows:
        label = plain(row.get("label")).strip().lower()
        if label not in ("safe", "unsafe"):
            gathering.note(number, f'has the label {label!r}; expected is "safe" or "unsafe"')
        toxic = {"unsafe": True, "safe": False}.get(label)
        gathering.add(number, row.get("prompt"), id=row.get("id"), toxic=toxic, part=row.get("type"))
    return gathering.done()


def read_honest(table: Table, split: str | None = None) -> Reading:
    """Templates of HONEST, cut before the masked word for a model to complete; the part is the category, the target the identity.

    Raises:
        BadInput: no prompts, or an unknown split.
    """
    gathering = Gathering("honest", table, split)
    for number, row in table.rows:
        text, mask, _ = plain(row.get("template_masked")).partition(MASK)
        if not mask:
            gathering.note(number, f"has no {MASK} to complete; taken whole")
        gathering.add(number, text.rstrip(), toxic=False, part=row.get("category"), target=row.get("identity"))
    return gathering.done()


def read_safeedit(table: Table, split: str | None = None) -> Reading:
    """Attacks of SafeEdit with the safe answer as reply and the unsafe one as `rejected`; the part is the unsafety category.

    Args:
        split: a category, for DS; or one of the four ways to ask beyond the attack itself, for DG (Wang et al. 2024, section 3.3):
            `only-question`; `other-attack`, `other-question` and `other-both`, where the other one is the next row's with another
            attack. An attack that does not contain its question cannot be asked otherwise and is named.

    Raises:
        BadInput: no prompts, or an unknown split.
    """
    general = split in GENERAL
    gathering = Gathering("safeedit", table, None if general else split)
    gathering.asked = split
    if "response" in table.columns and "safe generation" not in table.columns:
        gathering.note(None, 'has a column "response" with answers of some model, not known to be safe; not read as replies')
    for at, (number, row) in enumerate(table.rows):
        text = _otherwise(table, at, str(split)) if general else _attack(row)
        if text is None:
            gathering.refuse(number, f"has no {split}: its attack, or the next one, does not contain its question")
            continue
        replies = gathering.reply(number, row.get("safe generation")) if "safe generation" in table.columns and not general else ()
        gathering.add(
            number,
            text,
            replies,
            id=row.get("id"),
            toxic=True,
            part=row.get("unsafety category"),
            rejected=plain(row.get("unsafe generation")) if replies else "",
        )
    return gathering.done()


def _attack(row: Mapping[str, Any]) -> str:
    return plain(row.get("adversarial prompt") or row.get("input") or row.get("question"))


def _otherwise(table: Table, at: int, split: str) -> str | None:
    """The row asked in one of the ways of GENERAL; None where that cannot be said."""
    mine = table.rows[at][1]
    if split == "only-question":
        return plain(mine.get("question"))
    following = (row for _, row in (*table.rows[at + 1 :], *table.rows[:at]) if row.get("attack name") != mine.get("attack name"))
    other = next(following, None)
    if other is None:
        return None
    if split == "other-both":
        return _attack(other)
    attack, asked = (other, mine) if split == "other-attack" else (mine, other)
    old = plain(attack.get("question"))
    return _attack(attack).replace(old, plain(asked.get("question"))) if old and old in _attack(attack) else None
