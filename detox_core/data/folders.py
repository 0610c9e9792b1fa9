"""Several files of one format, as one data set."""

from collections.abc import Mapping
from dataclasses import replace

from detox_core.data.reading import Pair, Reading
from detox_core.data.tables import Problem
from detox_core.types import Prompt


def merge(source: str, readings: Mapping[str, Reading]) -> Reading:
    """One reading of several; ids and problems name the file, and a text that several files have is kept once.

    Args:
        source: the folder.
        readings: file name -> what was read there; not empty, all of one format.
    """
    prompts: dict[str, Prompt] = {}
    pairs: list[Pair] = []
    problems: list[Problem] = []
    repeated = 0
    for name, reading in readings.items():
        stem = name.partition(".")[0]
        for prompt in reading.prompts:
            known = prompts.setdefault(prompt.text.strip(), replace(prompt, id=f"{stem}/{prompt.id}"))
            repeated += known.id != f"{stem}/{prompt.id}" and not reading.pairs  # with a reply the row still adds a pair
        pairs += [replace(pair, id=f"{stem}/{pair.id}") for pair in reading.pairs]
        problems += [replace(problem, file=name) for problem in reading.problems]
    first = next(iter(readings.values()))
    return replace(
        first,
        source=source,
        rows=sum(reading.rows for reading in readings.values()),
        prompts=tuple(prompts.values()),
        pairs=tuple(pairs),
        problems=tuple(problems),
        duplicates=repeated + sum(reading.duplicates for reading in readings.values()),
        skipped=sum(reading.skipped for reading in readings.values()),
        left_out=sum(reading.left_out for reading in readings.values()),
    )
