"""Every command of the README does what it says, as it stands there; those of docs/commands.md are at least understood."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from detox_core.cli import parser
from detox_core.stage.steps import Stage, Step
from detox_core.store import recorded
from tests.browser.conftest import free_port, wait_for

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


RECIPES = [block for block in blocks("bash") if "make " not in block]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, make_base) -> Path:
    """The files that the README's recipes speak of."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "my-model").symlink_to(make_base("llama"))
    for block in blocks("yaml"):
        (folder / block.splitlines()[0].removeprefix("# ")).write_text(block)
    steps = tuple(Step(record) for record in list(recorded().values())[:1])
    (folder / "stage.json").write_text(Stage("My stage", steps).to_json())
    (folder / "prompts.csv").write_text("prompt\nYou are all lazy.\nWomen can't drive.\nHow do I boil an egg?\n")
    return folder


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda block: " ".join(block.split()[3:5]))
def test_recipe_runs_as_it_stands(recipe, workplace):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DETOX_CACHE": str(workplace / "cache"),
    }
    done = subprocess.run(
        ["bash", "-euc", recipe], cwd=workplace, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[str, str]]:
    """The addresses of the app and of the phones' page, both by `make audience`."""
    if not (ROOT / ".venv" / ".app").exists():
        pytest.skip("make would set everything up first: run the tests with make test")
    ports, folder = [free_port(), free_port()], tmp_path_factory.mktemp("made")
    command = ["make", "audience", f"ARGS=--port {ports[0]} --app-port {ports[1]}"]
    with (folder / "log").open("w") as log:
        environment = {**os.environ, "DETOX_CACHE": str(folder / "cache")}
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_for(f"http://127.0.0.1:{ports[1]}/_stcore/health", started, folder / "log")
            yield f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[0]}"
        finally:
            os.killpg(started.pid, signal.SIGTERM)
            started.wait(20)


def test_make_audience_opens_both_pages_and_the_readmes_program_votes_there(served, tmp_path):
    (program,) = blocks("python")
    here = program.replace("http://192.168.1.20:8600", served[1])
    assert here != program
    told = "\nimport json; print(json.dumps([prompt, answers, reveal]))"
    done = subprocess.run([sys.executable, "-c", here + told], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    prompt, answers, reveal = json.loads(done.stdout.splitlines()[-1])
    assert prompt in {example.prompt for example in recorded().values()}
    assert all(answers[letter].strip() for letter in "ABC")
    assert {one["variant"] for one in reveal.values()} == {"IT", "FT", "RL"}


def test_make_knows_what_the_readme_names_and_ci_runs_the_tests():
    named = set(re.findall(r"^make (\w+)", "\n".join(blocks("bash")), re.M))
    assert named == {"app", "test", "audience"}
    for target in named:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_every_command_of_the_reference_is_understood():
    lines = [line.partition("  #")[0] for block in re.findall(r"```bash\n(.*?)```", REFERENCE, re.S) for line in block.splitlines()]
    ours = [shlex.split(line)[3:] for line in lines if line.startswith("python -m detox_core ")]
    assert len(ours) > 20
    for words in ours:
        parser().parse_args(words)
