"""Give a finished adapter away: with a model card, as a zip file or to the Hub. Imports no torch."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import yaml

from detox_core.errors import BadInput, ModelError
from detox_core.train.progress import ADAPTER, METRICS, PROBED, WARNED, read_lines
from detox_core.train.spec import METHODS, TrainSpec, spec_from

SHOWN = ("loss", "reward", "kl", "entropy", "second_scorer", "mean_token_accuracy")


def card(folder: Path, settings: dict[str, Any]) -> str:
    """The model card of a run, as Markdown with the Hub's header.

    Args:
        folder: of the run.
        settings: its spec, as the run's folder has it.
    """
    spec = _spec(settings)
    head = {"library_name": "peft", "base_model": spec.base, "tags": ["detox-lens", spec.method, "lora"]}
    log, probes = read_lines(folder / METRICS), read_lines(folder / PROBED)
    last = {name: next((row[name] for row in reversed(log) if name in row), None) for name in SHOWN}
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False).strip(),
        "---",
        f"# {spec.name}",
        "",
        f"A LoRA adapter for `{spec.base}`, trained with Detox Lens by {METHODS[spec.method].label}. {METHODS[spec.method].about}",
        "",
        "Made to look at what detoxification does to a model; it answers toxic prompts and is not fit for use without supervision.",
        "",
        "## Train it again",
        "",
        "Save as `spec.yaml`, then `python -m detox_core train spec.yaml --wait`:",
        "",
        f"```yaml\n{spec.to_yaml().strip()}\n```",
        "",
        "## At the end of training",
        "",
        *(f"- {name}: {value:.4g}" for name, value in last.items() if value is not None),
        *(f"- warning at step {row['step']}: {said}" for row in read_lines(folder / WARNED) for said in row["warnings"].values()),
    ]
    if probes:
        rows = zip(probes[0]["probes"], probes[-1]["probes"], strict=True)
        lines += ["", "## Probe prompts, greedy", "", f"| prompt | before | at step {probes[-1]['step']} |", "|---|---|---|"]
        lines += [f"| {_cell(before['prompt'])} | {_said(before)} | {_said(now)} |" for before, now in rows]
    return "\n".join(lines) + "\n"


def zipped(folder: Path, settings: dict[str, Any]) -> bytes:
    """Adapter, card and spec as a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / ADAPTER).iterdir()):
            archive.write(path, path.name)
        archive.writestr("README.md", card(folder, settings))
        archive.writestr("spec.yaml", _spec(settings).to_yaml())
    return buffer.getvalue()


def push(folder: Path, settings: dict[str, Any], repository: str, token: str | None = None) -> str:
    """Upload adapter and card to the Hub, privately.

    Args:
        repository: OWNER/NAME; made if it does not exist.
        token: None = the one that `hf auth login` keeps.

    Returns:
        Its address.

    Raises:
        BadInput: no such name can be. ModelError: the Hub refused or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if repository.count("/") != 1:
        raise BadInput(f"{repository!r} is no repository. Give OWNER/NAME, for example ada/mild-at-heart.")
    try:
        api = HfApi(token=token or None)
        address = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder / ADAPTER)
        for name, text in (("README.md", card(folder, settings)), ("spec.yaml", _spec(settings).to_yaml())):
            api.upload_file(repo_id=repository, path_or_fileobj=text.encode(), path_in_repo=name)
    except HFValidationError as error:
        raise BadInput(f"{repository!r} is no name for a repository: {error}") from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"The Hub did not take it: {str(error).splitlines()[0]} Check the token and the network.") from error
    return str(address)


def _spec(settings: dict[str, Any]) -> TrainSpec:
    return spec_from({name: value for name, value in settings.items() if name != "kind"})


def _said(probe: dict[str, Any]) -> str:
    score = "not scored" if probe["toxicity"] is None else f"{probe['toxicity']:.2f}"
    return f"{_cell(probe['reply'])} ({score})"


def _cell(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("|", "\\|")
