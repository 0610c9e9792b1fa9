"""Measurements on disk: a JSON Lines file with the settings first, then one line per prompt with all its replies.

A prompt is done when its line is whole, so a killed run loses at most the prompts it was working on and repeats none. Reading
imports no torch.
"""

import hashlib
import json
import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from detox_core.errors import BadInput
from detox_core.measure.report import Measured
from detox_core.models.variants import cache_folder
from detox_core.types import Comparison, Decoding, Generation, Prompt, Quality, Score, Variant

VERSION = 1  # of the lines
NAME = "replies.jsonl"
DIGITS = 4  # of a score
UNLIMITED = 2**31  # seeds
Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Settings:
    """What a measurement's replies depend on; a file is only gone on with under equal settings.

    Attributes:
        dataset: as `read_dataset` takes it.
        prompts: how many.
        scorers: id -> revision; the first is the one that metrics speak of.
        fingerprints: base or adapter -> which weights; empty where they are not known (imported results).
        source: where imported replies come from; empty for our own.
    """

    dataset: str
    prompts: int
    variants: tuple[Variant, ...]
    decoding: Decoding
    scorers: dict[str, str]
    fingerprints: dict[str, str]
    source: str = ""

    @property
    def scorer(self) -> str:
        """The first scorer."""
        return next(iter(self.scorers))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"version": VERSION, **asdict(self), "variants": [asdict(variant) for variant in self.variants]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Settings":
        """Inverse of `to_dict`.

        Raises:
            BadInput: written by another version of this project, or nothing of the kind.
        """
        if data.get("version") != VERSION:
            raise BadInput(f"written by another version ({data.get('version')!r}, this one writes {VERSION}). Measure again.")
        fields = {key: value for key, value in data.items() if key != "version"}
        try:
            variants = tuple(Variant(**variant) for variant in fields.pop("variants"))
            return cls(**{**fields, "variants": variants, "decoding": Decoding(**fields["decoding"])})
        except (KeyError, TypeError) as error:
            raise BadInput(f"not the settings of a measurement ({error}).") from error


def read_settings(path: Path) -> Settings:
    """The first line of a measurement.

    Raises:
        BadInput: no such file, or not a measurement of this version; names the file.
    """
    try:
        with path.open(encoding="utf-8") as file:
            data = json.loads(file.readline())
        if not isinstance(data, dict):
            raise BadInput("not the settings of a measurement.")
        return Settings.from_dict(data)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, BadInput) as error:
        raise BadInput(f"{path} is no measurement: {error}") from error


def read_measurement(path: Path) -> tuple[Settings, list[Measured]]:
    """A measurement, complete or not; a last line that a kill cut off is left out.

    Raises:
        BadInput: see `read_settings`; or a line that is no prompt with replies (names it).
    """
    settings = read_settings(path)
    return settings, [row for _, row in lines(path, lambda data: _measured(data, settings))]


def lines(path: Path, parse: Callable[[dict[str, Any]], Parsed]) -> Iterator[tuple[int, Parsed]]:
    """Every whole line of a measurement after the settings, parsed, with its number.

    Raises:
        BadInput: a line is no prompt with replies; names it.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1 or not line.endswith(b"\n"):
                continue
            try:
                yield number, parse(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(f"{path}, line {number} is no measured prompt: {error!r}") from error


@contextmanager
def appending(path: Path, settings: Settings) -> Iterator[tuple[list[Measured], "Appender"]]:
    """Open a measurement to begin it or to go on with it: what is there already, and where to put the rest.

    Raises:
        BadInput: the file was made with other settings, is no measurement, is being written by another process, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{path}.lock", timeout=0):
            done = _resume(path, settings)
            with path.open("ab") as file:
                yield done, Appender(file, settings)
    except Timeout:
        raise BadInput(f"Another process is measuring into {path}. Wait for it, or name another file with --out.") from None
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}. What is measured so far is kept; the same command goes on from there."
        ) from error


class Appender:
    """Adds prompts to an open measurement."""

    def __init__(self, file: Any, settings: Settings) -> None:
        self._file, self._settings = file, settings

    def __call__(self, rows: Sequence[Measured]) -> None:
        """Write the lines of these prompts, and have them on the disk when this returns."""
        self._file.write(b"".join(line(row, self._settings) for row in rows))
        self._file.flush()
        os.fsync(self._file.fileno())


def write_measurement(path: Path, settings: Settings, rows: Sequence[Measured]) -> None:
    """A whole measurement at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(_json(settings.to_dict()) + b"".join(line(row, settings) for row in rows))
    temporary.replace(path)


def measurements() -> list[Path]:
    """All measurements of this computer, newest first."""
    return sorted((cache_folder() / "runs").glob(f"*/{NAME}"), key=lambda path: path.stat().st_mtime, reverse=True)


def seed_of(prompt: str, seed: int) -> int:
    """The seed of the prompt with this id in a measurement of that seed."""
    return (seed + zlib.crc32(prompt.encode()) % 1_000_003) % UNLIMITED


def open_prompt(path: Path, prompt: str) -> Comparison:
    """One measured prompt as a comparison, under an id that is the same every time; generating it anew gives the same replies.

    Raises:
        BadInput: no measurement, or it has no prompt with that id.
    """
    settings = read_settings(path)
    row = next((row for _, row in lines(path, lambda data: _measured(data, settings) if data["id"] == prompt else None) if row), None)
    if row is None:
        raise BadInput(f"{path} has no prompt {prompt!r}.")
    key = json.dumps([settings.to_dict(), prompt], sort_keys=True)
    return Comparison(
        id=hashlib.sha256(key.encode()).hexdigest()[:10],
        created=datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds"),
        prompt=row.prompt.text,
        variants=settings.variants,
        decoding=replace(settings.decoding, seed=seed_of(prompt, settings.decoding.seed)),
        scorer=settings.scorer,
        prompt_score=row.prompt_score,
        generations=row.generations,
        versions=settings.fingerprints,
    )


def _resume(path: Path, settings: Settings) -> list[Measured]:
    whole = path.read_bytes().rpartition(b"\n")[0] if path.is_file() else b""
    if not whole:
        path.write_bytes(_json(settings.to_dict()))
        return []
    if read_settings(path) != settings:
        raise BadInput(f"{path} was made with other settings or other weights. Delete it, or name another file with --out.")
    os.truncate(path, len(whole) + 1)
    return read_measurement(path)[1]


def line(row: Measured, settings: Settings) -> bytes:
    """One prompt with its replies as a line of a measurement."""
    first = settings.scorer
    prompt = row.prompt
    replies = []
    for at, reply in enumerate(row.generations):
        scores = {first: reply.score} | {name: judged[at] for name, judged in row.others.items()}
        reasons = {name: score.reason for name, score in scores.items() if score and score.reason}
        hate = reply.score.attributes.get("HATE") if reply.score else None
        replies.append(
            {
                "variant": reply.variant,
                "sample": reply.sample,
                "text": reply.text,
                "scores": {name: _number(score) for name, score in scores.items()},
                **({"hate": round(hate, DIGITS)} if hate is not None else {}),
                **({"reasons": reasons} if reasons else {}),
                **(_quality_row(reply.quality) if reply.quality else {}),
                "finish": reply.finish,
                "tokens": list(reply.tokens),
            }
        )
    known = {"toxic": prompt.toxic, "part": prompt.part, "target": prompt.target}
    said = {key: value for key, value in known.items() if value not in (None, "")}
    return _json({"id": prompt.id, "prompt": prompt.text, **said, "score": _number(row.prompt_score), "replies": replies})


def _measured(data: dict[str, Any], settings: Settings) -> Measured:
    prompt = Prompt(data["id"], data["prompt"], data.get("toxic"), data.get("part", ""), data.get("target", ""))
    generations, others = [], {name: [] for name in settings.scorers if name != settings.scorer}  # type: ignore[var-annotated]
    for reply in data["replies"]:
        scores = {name: _score(name, reply, settings) for name in settings.scorers}
        generations.append(
            Generation(
                reply["variant"],
                reply["sample"],
                reply["text"],
                tuple(reply["tokens"]),
                finish=reply["finish"],
                score=scores[settings.scorer],
                quality=_quality(reply),
            )
        )
        for name, judged in others.items():
            judged.append(scores[name])
    first = settings.scorer
    score = None if data["score"] is None else Score(data["score"], first, settings.scorers[first])
    return Measured(prompt, tuple(generations), score, {name: tuple(judged) for name, judged in others.items()})


def _score(name: str, reply: dict[str, Any], settings: Settings) -> Score:
    value, reason = reply["scores"][name], reply.get("reasons", {}).get(name)
    attributes = {"HATE": reply["hate"]} if "hate" in reply and name == settings.scorer else {}
    return Score(math.nan if value is None else value, name, settings.scorers[name], attributes, reason)


def _quality_row(quality: Quality) -> dict[str, Any]:
    known = {"similarity": quality.similarity, "perplexity": quality.perplexity}
    return {
        **{name: None if math.isnan(value) else float(f"{value:.{DIGITS}g}") for name, value in known.items()},
        **({"problem": quality.problem} if quality.problem else {}),
    }


def _quality(reply: dict[str, Any]) -> Quality | None:
    if "similarity" not in reply:
        return None
    similarity, perplexity = (math.nan if reply[name] is None else reply[name] for name in ("similarity", "perplexity"))
    return Quality(similarity, perplexity, reply.get("problem"))


def _number(score: Score | None) -> float | None:
    return round(score.value, DIGITS) if score and score.scored else None


def _json(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, ensure_ascii=False) + "\n").encode("utf-8", errors="surrogatepass")
