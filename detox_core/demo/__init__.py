"""The embedded family: where its parts lie on disk. Standard library only."""

from pathlib import Path

FOLDER = Path(__file__).parent
IT = FOLDER / "it"
FT = FOLDER / "ft"
RL = FOLDER / "rl"
DPO = FOLDER / "dpo"
SMOLLM2 = FOLDER / "smollm2"  # adapters of the larger family; its base comes with a package, see models/smollm2.py
SCORER = FOLDER / "scorer"
SECOND_SCORER = FOLDER / "second_scorer"
RECORDED = FOLDER / "recorded"
PROMPTS = FOLDER / "prompts.jsonl"
PAIRS = FOLDER / "pairs.jsonl"
SCHEME = "embedded/"  # embedded/it is a name that means the same on every computer


def locate(source: str) -> Path:
    """The folder meant by `embedded/NAME` or by a path."""
    return FOLDER / source.removeprefix(SCHEME) if source.startswith(SCHEME) else Path(source).expanduser()
