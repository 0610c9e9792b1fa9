"""Who may import whom, and what must stay cheap to import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = Path("detox_core/__init__.py")
LEVELS = (
    {"types", "errors"},
    {"demo", "request", "export", "figures", "interventions.registry", "stage.steps"},
    {"models", "data", "store"},
    {"batch", "generate", "score", "explain", "interventions"},
    {"compare", "measure", "train"},
    {"service", "stage", "audience"},
    {"cli", "bench", "doctor", "__main__", "export.commands"},
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
STANDARD = sys.stdlib_module_names
PAGES_MAY = {"streamlit", "pandas", "plotly", "psutil", "segno", "audience", "detox_core", "training_jobs.jobs"}
FIGURES_MAY = {"pandas", "plotly", "numpy", "detox_core.types"}
CHEAP = (
    "",
    ".models.variants",
    ".interventions.registry",
    ".train.spec",
    ".train.progress",
    ".measure.measurement",
    ".score",
    ".store",
    ".service",
    ".audience.room",
    ".stage.steps",
    ".types",
    ".errors",
    ".request",
    ".models.templates",
    ".data",
)


def modules(*patterns: str) -> list[Path]:
    return sorted(path.relative_to(ROOT) for pattern in patterns for path in ROOT.glob(pattern))


def imports(code: str, package: str) -> Iterator[tuple[str, bool]]:
    """Dotted names that a module imports, and whether only later: in a function or for type checking."""

    def walk(node: ast.AST, later: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            deferred = later or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.Import):
                yield from ((alias.name, later) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                parents = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
                source = ".".join([*parents, *([child.module] if child.module else [])])
                yield from ((f"{source}.{alias.name}", later) for alias in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(ast.Module(child.body, []), True)
                yield from walk(ast.Module(child.orelse, []), later)
            else:
                yield from walk(child, deferred)

    return walk(ast.parse(code), False)


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def level(name: str) -> int:
    """Where a module of the core stands; a table that imports nothing may stand lower than its package."""
    first, second, *_ = [*name.split("."), ""]
    return LEVEL.get(f"{first}.{second}", LEVEL.get(first, 0))


def upward(module: str, code: str, package: str) -> list[str]:
    """Imports of `module` that go up, or out to something of the project that is not the core."""
    own = level(module.partition(".")[2])
    may_defer = module == "detox_core.service" or module.endswith(".registry")

    def forbidden(name: str, later: bool) -> bool:
        top, _, rest = name.partition(".")
        if top == "training_jobs":
            return own < LEVEL["cli"] or not name.startswith(("training_jobs.jobs", "training_jobs.commands"))
        if top == "detox_core":
            return level(rest) > own and not (later and may_defer)
        return top in ("pages", "app", "streamlit")

    return [name for name, later in imports(code, package) if forbidden(name, later)]


def strangers(code: str, package: str, allowed: set[str]) -> list[str]:
    """Imports that are neither allowed nor of the standard library."""
    names = [name for name, _ in imports(code, package)]
    return [
        name for name in names if name.split(".")[0] not in STANDARD and not any(name == a or name.startswith(f"{a}.") for a in allowed)
    ]


def package_of(path: Path) -> str:
    return ".".join(path.parts[:-1])


@pytest.mark.parametrize("path", [path for path in modules("detox_core/**/*.py") if path != PACKAGE], ids=str)
def test_core_imports_only_downward(path):
    assert dotted(path).split(".")[1] in LEVEL, f"{path} has no place in the order of modules"
    assert upward(dotted(path), (ROOT / path).read_text(), package_of(path)) == []


@pytest.mark.parametrize("path", modules(str(PACKAGE), "detox_core/types.py", "detox_core/errors.py", "detox_core/demo/*.py"), ids=str)
def test_values_need_only_the_standard_library(path):
    assert strangers((ROOT / path).read_text(), package_of(path), {"numpy"}) == []


@pytest.mark.parametrize("path", modules("app.py", "pages/**/*.py"), ids=str)
def test_pages_import_only_what_pages_may(path):
    siblings = {"pages"} | {file.stem for file in (ROOT / path).parent.glob("*.py")}
    assert strangers((ROOT / path).read_text(), package_of(path), PAGES_MAY | siblings) == []


@pytest.mark.parametrize("path", modules("detox_core/figures/**/*.py"), ids=str)
def test_figures_know_only_values(path):
    assert strangers((ROOT / path).read_text(), package_of(path), FIGURES_MAY | {"detox_core.figures"}) == []


@pytest.mark.parametrize(
    ("module", "code", "expected"),
    [
        ("detox_core.store", "from detox_core.compare import compare", ["detox_core.compare.compare"]),
        ("detox_core.store", "from detox_core import service", ["detox_core.service"]),
        ("detox_core.store", "import detox_core.score.registry", ["detox_core.score.registry"]),
        ("detox_core.store", "from .generate import generate", ["detox_core.generate.generate"]),
        ("detox_core.store", "from . import generate", ["detox_core.generate"]),
        ("detox_core.models.loading", "from ..generate import generate", ["detox_core.generate.generate"]),
        ("detox_core.store", "def f():\n    from detox_core import cli", ["detox_core.cli"]),
        ("detox_core.service", "def f():\n    from detox_core import cli", []),
        ("detox_core.service", "if TYPE_CHECKING:\n    from detox_core import cli", []),
        ("detox_core.service", "try:\n    from detox_core import cli\nexcept ImportError:\n    pass", ["detox_core.cli"]),
        ("detox_core.service", "import streamlit", ["streamlit"]),
        ("detox_core.compare", "from training_jobs.recipes import corpus", ["training_jobs.recipes.corpus"]),
        ("detox_core.compare", "import torch\nfrom detox_core.types import Score", []),
    ],
)
def test_the_check_itself_sees_what_is_not_allowed(module, code, expected):
    assert upward(module, code, module.rpartition(".")[0]) == expected


def test_the_check_itself_sees_strangers():
    code = "import math, torch\nimport plotly.express as px\nfrom detox_core.compare import compare\nimport plotlyx"
    assert strangers(code, "pages", FIGURES_MAY) == ["torch", "detox_core.compare.compare", "plotlyx"]


@pytest.mark.parametrize("module", CHEAP)
def test_import_is_cheap(module):
    heavy = "{'torch', 'transformers', 'peft', 'bitsandbytes', 'streamlit', 'pandas'} & set(sys.modules)"
    code = f"import sys, detox_core{module}; print(*sorted({heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
