"""Prompts in JSON Lines: one object a line with `text`, and if known `id`, `toxic`, `target`, `part`."""

import json
from pathlib import Path

from detox_core.errors import BadInput
from detox_core.types import Prompt

ALIASES = {"class": "part"}


def read_prompts(path: Path) -> list[Prompt]:
    """All prompts of a file, in order; a missing id becomes the number of its line.

    Raises:
        BadInput: no such file, not UTF-8, a line without text, or an id that occurs twice; names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as UTF-8 text ({error}).") from error
    prompts: dict[str, Prompt] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        prompt = _prompt(line, f"{path}, line {number}", str(number))
        if prompt.id in prompts:
            raise BadInput(f"{path}, line {number}: the id {prompt.id!r} occurs twice.")
        prompts[prompt.id] = prompt
    if not prompts:
        raise BadInput(f"{path} holds no prompts.")
    return list(prompts.values())


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
