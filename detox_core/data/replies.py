"""Prompts and replies in the result files of RewardLM, without the scores that `rewardlm.py` reads."""

import re
from pathlib import Path

from detox_core.data.reading import Gathering, Reading, plain
from detox_core.data.tables import Table

# Each end by itself: over-long prompts were cut at one of them.
TEMPLATE = re.compile(r'\A(?:<human>|### Question): "|"\.\n(?:<bot>|### Answer): ?\Z')


def read_replies(table: Table, split: str | None = None) -> Reading:
    """Prompts and replies of one result file, the prompts without their chat template. The part is the file.

    Raises:
        BadInput: no prompts, or an unknown split.
    """
    gathering = Gathering("rewardlm", table, split)
    part = Path(table.source).name.split(".csv")[0]
    for number, row in table.rows:
        text, marks = TEMPLATE.subn("", plain(row.get("prompts")))
        if marks != 2:
            gathering.note(number, "has a prompt without a whole chat template")
        gathering.add(number, text, (plain(row.get("responses")),), part=part)  # an empty reply is a reply too
    return gathering.done()
