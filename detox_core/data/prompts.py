"""Prompts in JSON Lines: one object a line with `text`, and if known `id`, `toxic`, `target`, `part`."""

import json
from pathlib import Path

from detox_core.data.reading import Gathering, Reading
from detox_core.data.tables import Table, read_text
from detox_core.errors import BadInput
from detox_core.types import Prompt

ALIASES = {"class": "part"}
NATIVE = {"text", "id", "toxic", "target", "part", *ALIASES}


def read_prompts(path: Path, split: str | None = None) -> Reading:
    """All prompts of a file, in order, each text once; a missing id becomes the number of its line.

    Raises:
        BadInput: no such file, not UTF-8, a line without text, an id that occurs twice (names file and line), or an unknown split.
    """
    prompts: dict[str, tuple[int, Prompt]] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):  # splitlines would also cut at U+2028 inside a text
        if not line.strip():
            continue
        prompt = _prompt(line, f"{path}, line {number}", str(number))
        if prompt.id in prompts:
            raise BadInput(f"{path}, line {number}: the id {prompt.id!r} occurs twice.")
        prompts[prompt.id] = (number, prompt)
    gathering = Gathering("prompts", Table(str(path), (), [(number, {}) for number, _ in prompts.values()]), split)
    for number, prompt in prompts.values():
        gathering.add(number, prompt.text, id=prompt.id, toxic=prompt.toxic, target=prompt.target, part=prompt.part)
    return gathering.done()


def _prompt(line: str, where: str, number: str) -> Prompt:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{where} is not JSON ({error}).") from error
    if not isinstance(row, dict) or not str(row.get("text") or "").strip():
        raise BadInput(f'{where} needs a "text" that is not empty.')
    row = {ALIASES.get(key, key): value for key, value in row.items()}
    toxic = row.get("toxic")
    if toxic not in (None, True, False):
        raise BadInput(f'{where}: "toxic" is {toxic!r}; it can be true, false or null.')
    return Prompt(str(row.get("id") or number), str(row["text"]), toxic, str(row.get("part") or ""), str(row.get("target") or ""))
