"""The embedded family: where its parts lie on disk. Standard library only."""

from pathlib import Path

FOLDER = Path(__file__).parent
IT = FOLDER / "it"
FT = FOLDER / "ft"
RL = FOLDER / "rl"
SCORER = FOLDER / "scorer"
RECORDED = FOLDER / "recorded"
