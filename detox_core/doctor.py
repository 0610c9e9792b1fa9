"""What is installed, which device, and whether everything works without a network."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from detox_core import demo
from detox_core.errors import DetoxError
from detox_core.models import variants
from detox_core.models.smollm2 import INSTALL
from detox_core.models.variants import cache_folder
from detox_core.score.minilm import minilm_folder

PACKAGES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "streamlit", "plotly", "pandas")


def offline_checks() -> list[dict[str, Any]]:
    """Whether each part the app needs lies on disk. Imports no torch."""
    parts = {
        "IT, the base model": (demo.IT, ("config.json", "model.safetensors", "tokenizer.json")),
        "FT adapter": (demo.FT, ("adapter_config.json", "adapter_model.safetensors")),
        "RL adapter": (demo.RL, ("adapter_config.json", "adapter_model.safetensors")),
        "local scorer": (demo.SCORER, ("adapter_config.json", "adapter_model.safetensors")),
        "recorded examples": (demo.RECORDED, ("examples.json",)),
    }
    checks = [_files(name, folder, files) for name, (folder, files) in parts.items()]
    larger = [member.label for member in variants.larger_family()]
    detail = f"{', '.join(larger)} on SmolLM2" if larger else f"not installed; the small family answers instead. Run: {INSTALL}"
    checks.append({"what": "larger family", "ok": bool(larger), "detail": detail})
    try:
        checks.append({"what": "MiniLM encoder", "ok": True, "detail": f"the original, in {minilm_folder()}"})
    except DetoxError as error:
        checks.append({"what": "MiniLM encoder", "ok": False, "detail": str(error)})
    return checks


def examine() -> dict[str, Any]:
    """Everything `doctor` reports: `{"checks": [{"what", "ok", "detail"}], "device", "offline_ready", "packages"}`."""
    import torch

    from detox_core.models.loading import choose

    offline = offline_checks()
    packages = {name: _version(name) for name in PACKAGES}
    missing = [name for name, installed in packages.items() if installed is None]
    checks = [
        {"what": "Python", "ok": sys.version_info >= (3, 11), "detail": sys.version.split()[0]},
        {
            "what": "packages",
            "ok": not missing,
            "detail": f"missing: {', '.join(missing)}; run pip install -r requirements.txt" if missing else "all installed",
        },
        _writable(cache_folder()),
        *offline,
    ]
    return {
        "checks": checks,
        "device": choose("auto", 0)[2],
        "threads": torch.get_num_threads(),
        "packages": packages,
        "offline_ready": all(check["ok"] for check in offline),
    }


def _files(name: str, folder: Path, files: tuple[str, ...]) -> dict[str, Any]:
    missing = [file for file in files if not (folder / file).is_file()]
    size = sum(path.stat().st_size for path in folder.glob("*")) / 1e6 if folder.is_dir() else 0
    detail = f"missing {', '.join(missing)} in {folder}; restore with git checkout {folder}" if missing else f"{size:.1f} MB in {folder}"
    return {"what": name, "ok": not missing, "detail": detail}


def _writable(folder: Path) -> dict[str, Any]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return {"what": "cache folder", "ok": False, "detail": f"{folder} cannot be written: {error}. Set DETOX_CACHE to another folder."}
    return {"what": "cache folder", "ok": True, "detail": str(folder)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
