"""Small adapters that interventions work with, trained on the subject itself by the project's own trainer."""

import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from detox_core.errors import ModelError
from detox_core.generate import generate_many
from detox_core.interventions.protocol import Example, Fitted, Subject, Tell, need_examples
from detox_core.score import get_scorer
from detox_core.train.progress import METRICS
from detox_core.train.run import LARGE, train
from detox_core.train.spec import TrainSpec
from detox_core.types import Decoding

BATCH = 8  # replies a step
STEPS, STEPS_LARGE = 120, 20  # of an expert; the second for models over `LARGE` bytes, whose steps take long
OWN_STEPS, OWN_STEPS_LARGE = 60, 15  # on replies of its own, of which there are fewer
PROMPTS, PROMPTS_LARGE = 200, 64  # that the model answers itself
SAMPLES = 4  # replies to each
AT_ONCE = 32  # prompts answered between two looks at the progress
OWN = Decoding(temperature=1.0, top_p=0.9, max_new_tokens=40, samples=SAMPLES)
Said = tuple[str, str]  # a prompt and a reply to it


def fit(subject: Subject, examples: Sequence[Example], tell: Tell, stop: threading.Event, folder: Path) -> Fitted:
    """An expert for good replies, `clean`, and one for bad ones, `toxic`: LoRAs by SFT.

    Liu et al. 2021, section 2.2, tune whole models. Where the variant has an adapter, both begin as copies of it.

    Raises:
        BadInput: too few examples.
        InterruptedError: stopped.
    """
    need_examples(examples)
    steps = _by_size(subject, STEPS, STEPS_LARGE)
    sides = {"clean": [(one.prompt, one.good) for one in examples], "toxic": [(one.prompt, one.bad) for one in examples]}
    losses = {}
    for number, (name, texts) in enumerate(sides.items()):
        losses[name] = _adapter(subject, name, texts, steps, folder, stop, _from(tell, number * steps, 2 * steps))
    return Fitted({}, {"steps": steps, "batch": BATCH, "loss": losses}, {name: folder / name for name in sides})


def fit_self_generated(subject: Subject, examples: Sequence[Example], tell: Tell, stop: threading.Event, folder: Path) -> Fitted:
    """A LoRA, `own`, by SFT on the least toxic half of what the subject itself replies (Wang et al. 2022, SGEAT).

    Raises:
        BadInput: too few examples.
        ModelError: none of the subject's replies can be scored.
        InterruptedError: stopped.
    """
    need_examples(examples)
    steps = _by_size(subject, OWN_STEPS, OWN_STEPS_LARGE)
    asked = [one.prompt for one in examples[: _by_size(subject, PROMPTS, PROMPTS_LARGE)]]
    said = _own_replies(subject, asked, stop, _from(tell, 0, len(asked) + steps))
    values = [score.value if score.scored else None for score in get_scorer("local").score([reply for _, reply in said])]
    scored = [(value, *texts) for value, texts in zip(values, said, strict=True) if value is not None]
    kept = least_toxic(scored)
    if not kept:
        raise ModelError("None of the replies of this model can be scored, so there is nothing to learn from.")
    loss = _adapter(subject, "own", [(p, r) for _, p, r in kept], steps, folder, stop, _from(tell, len(asked), len(asked) + steps))
    notes = {"generated": len(said), "kept": len(kept), "toxicity": _mean(scored), "toxicity_kept": _mean(kept)}
    return Fitted({}, {**notes, "steps": steps, "batch": BATCH, "loss": loss}, {"own": folder / "own"})


def least_toxic(scored: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Of (toxicity, prompt, reply) the least toxic reply to each prompt, and of these the less toxic half, rounded up."""
    best: dict[str, tuple[float, str, str]] = {}
    for one in scored:
        best[one[1]] = min(best.get(one[1], one), one, key=lambda row: row[0])
    return sorted(best.values(), key=lambda row: row[0])[: (len(best) + 1) // 2]


def _own_replies(subject: Subject, asked: Sequence[str], stop: threading.Event, tell: Callable[[int], None]) -> list[Said]:
    """Prompts with replies by the subject, several each."""
    said: list[Said] = []
    for at in range(0, len(asked), AT_ONCE):
        part = asked[at : at + AT_ONCE]
        answered = generate_many(subject.base, [(text, at + n) for n, text in enumerate(part)], [subject.variant], OWN, stop=stop)
        if stop.is_set():
            raise InterruptedError("Stopped.")
        said += [(text, reply.text) for text, replies in zip(part, answered, strict=True) for reply in replies]
        tell(at + len(part))
    return said


def _adapter(
    subject: Subject, name: str, texts: Sequence[Said], steps: int, folder: Path, stop: threading.Event, tell: Callable[[int], None]
) -> list[float]:
    """Train a LoRA on prompts with replies; it becomes `folder / name`, and nothing else of the run is left.

    Returns:
        Loss in nats per token, first and last.
    """
    if stop.is_set():
        raise InterruptedError("Stopped.")
    with tempfile.TemporaryDirectory() as place:
        data, run = Path(place) / "data.jsonl", Path(place) / "run"
        run.mkdir()
        lines = [json.dumps({"text": prompt, "reply": reply}, ensure_ascii=False) for prompt, reply in texts]
        data.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        spec = TrainSpec(name, "sft", data=str(data), steps=steps, batch=BATCH, probe_every=steps)
        made = train(spec, subject.variant, run, lambda _phase, step, _of: tell(step) if step else None, stop)
        if made is None:
            raise InterruptedError("Stopped.")
        shutil.rmtree(folder / name, ignore_errors=True)  # of a fit that was stopped later on
        shutil.copytree(made, folder / name)
        logged = map(json.loads, (run / METRICS).read_text(encoding="utf-8").splitlines())
        losses = [row["loss"] for row in logged if "loss" in row]
    return [round(losses[0], 4), round(losses[-1], 4)]


def _from(tell: Tell, before: int, of: int) -> Callable[[int], None]:
    """Count on from what was done before."""
    return lambda done: tell(before + done, of)


def _by_size(subject: Subject, small: int, large: int) -> int:
    return small if subject.base.bytes < LARGE else large


def _mean(rows: Sequence[tuple[Any, ...]]) -> float:
    return round(sum(row[0] for row in rows) / len(rows), 4)
