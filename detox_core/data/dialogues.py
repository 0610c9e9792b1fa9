"""Parts of a dialogue data set that share no turn, and the check that they share none."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from detox_core.data.reading import Pair

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def normal(turn: str) -> str:
    """Turns that differ only in case or outer blanks are identical."""
    return turn.strip().lower()


def components(dialogues: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Groups of dialogues connected by identical turns, directly or through others; largest first.

    Args:
        dialogues: name -> turns.
    """
    leader = {name: name for name in dialogues}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    first: dict[str, str] = {}
    for name, turns in dialogues.items():
        for turn in map(normal, turns):
            leader[find(name)] = find(first.setdefault(turn, name))
    groups: dict[str, list[str]] = defaultdict(list)
    for name in dialogues:
        groups[find(name)].append(name)
    return sorted(groups.values(), key=len, reverse=True)


def split_dialogues(dialogues: Mapping[str, Sequence[str]], shares: Mapping[str, float] = SHARES, seed: int = 0) -> dict[str, str]:
    """A part for each dialogue, whole components together; the same input and seed give the same parts.

    Args:
        dialogues: name -> turns.
        shares: part -> wanted share of the dialogues. Met as closely as the largest components allow.

    Returns:
        Name of the dialogue -> part.
    """
    groups = components(dialogues)
    random.Random(seed).shuffle(groups)
    groups.sort(key=len, reverse=True)  # stable, so equal sizes stay shuffled; large groups first, or the last ones overshoot
    missing = {part: share * len(dialogues) / sum(shares.values()) for part, share in shares.items()}
    parts = {}
    for group in groups:
        part = max(missing, key=lambda name: missing[name])
        missing[part] -= len(group)
        parts.update(dict.fromkeys(group, part))
    return parts


def leaks(pairs: Iterable[Pair]) -> dict[str, set[str]]:
    """Turns that occur in more than one part, with these parts; empty = no leak."""
    parts: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        for turn in (*pair.antecedents, pair.prompt, pair.reply):
            parts[normal(turn)].add(pair.part)
    return {turn: found for turn, found in parts.items() if len(found) > 1}
