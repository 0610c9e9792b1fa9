"""A bulk explanation and a measurement lose nothing and repeat nothing, however often they are killed."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS, TEARS = 20, 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("what", "lines"), [("explain", 2), ("measure", 1)])
def test_a_run_killed_many_times_ends_with_the_same_rows(tmp_path, family, what, lines):
    variants = json.dumps([asdict(variant) for variant in family[:2]])
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed.py")), what, str(tmp_path), variants, str(KILLS), str(TEARS)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["kept"] > 0, "no kill came between two prompts, so nothing was resumed"
    files = [tmp_path / "whole.jsonl", *(tmp_path / f"{number}.jsonl" for number in range(1, told["runs"] + 1))]
    rows = [[json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]] for path in files]
    assert [row["id"] for row in rows[0]] == [str(number) for number in range(4) for _ in range(lines)]
    assert all(found == rows[0] for found in rows)
