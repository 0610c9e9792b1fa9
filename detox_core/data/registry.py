"""The data sets by name, and any file of prompts by path."""

from dataclasses import dataclass
from pathlib import Path

from detox_core.data.prompts import read_prompts
from detox_core.demo import PROMPTS
from detox_core.errors import BadInput
from detox_core.types import Prompt

HELD_OUT = Path(__file__).parents[2] / "tests" / "data" / "demo_heldout.jsonl"


@dataclass(frozen=True)
class Dataset:
    """Prompts that lie in this checkout."""

    about: str
    path: Path


DATASETS = {
    "demo": Dataset("330 prompts written for this project: claims about groups, insults, gossip, small talk, requests for help.", PROMPTS),
    "demo-heldout": Dataset("170 prompts in wordings and on topics that no recipe of the embedded family reads.", HELD_OUT),
}


def get_dataset(name: str) -> list[Prompt]:
    """The prompts of a data set: a name, or a path to a JSON Lines file.

    Raises:
        BadInput: neither, or a file that cannot be read; names the line.
    """
    if name in DATASETS:
        return read_prompts(DATASETS[name].path)
    if not Path(name).is_file():
        raise BadInput(f"There is no data set {name!r}. Known: {', '.join(DATASETS)}; or give a file of prompts (JSON Lines).")
    return read_prompts(Path(name))
