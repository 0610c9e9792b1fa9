"""What the README says about files and commands is so."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tree_lines() -> list[str]:
    """Paths named in the README's tree, folders with their slash."""
    block = re.search(r"```text\n(.*?)```", README, re.S)[1]
    paths: list[str] = []
    parents: list[str] = []
    for line in block.splitlines():
        if not line.strip():
            continue
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        parents = [*parents[:depth], name]
        paths.append("".join(parents))
    return paths


def tracked() -> set[str]:
    """Files git knows or would add; all files where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False)
    return set(listed.stdout.splitlines())


def test_tree_names_only_what_exists():
    missing = [path for path in tree_lines() if not (ROOT / path).exists() and path != "cache/"]
    assert not missing


def test_tree_names_every_folder_of_code():
    named = set(tree_lines())
    folders = {f"{path.rsplit('/', 1)[0]}/" for path in tracked() if path.endswith(".py") and "/" in path and not path.startswith("tests/")}
    assert folders <= named


def test_named_commands_exist():
    modules = set(re.findall(r"python -m ([\w.]+)", README)) - {"pytest", "pip", "venv"}
    assert modules
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_images_exist():
    images = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert images
    assert all((ROOT / image).is_file() for image in images)
