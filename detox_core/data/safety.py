"""Sets that test a model rather than train it: XSTest (Röttger et al. 2024), HONEST (Nozza et al. 2021), SafeEdit (Wang et al. 2024)."""

from detox_core.data.reading import Gathering, Reading, plain
from detox_core.data.tables import Table

MASK = "[M]"
ONLY_QUESTION = "only-question"


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
        split: a category, or `only-question`: the harmful questions without their attacks, for DG onlyQ beside DS.

    Raises:
        BadInput: no prompts, or an unknown split.
    """
    only = split == ONLY_QUESTION
    gathering = Gathering("safeedit", table, None if only else split)
    gathering.asked = split
    if "response" in table.columns and "safe generation" not in table.columns:
        gathering.note(None, 'has a column "response" with answers of some model, not known to be safe; not read as replies')
    for number, row in table.rows:
        attack = None if only else row.get("adversarial prompt") or row.get("input")
        text = attack or row.get("question")
        replies = gathering.reply(number, row.get("safe generation")) if "safe generation" in table.columns else ()
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
