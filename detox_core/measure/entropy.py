"""Attribution entropy over the generation in bulk: Figure 1 of Scalena et al. 2023, raw and relative to the prompt's length.

One line of a JSON Lines file per prompt and variant, written as it is made: an interrupted run goes on where it stopped.
"""

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detox_core.compare import Pool, toxic_spans
from detox_core.errors import BadInput
from detox_core.explain.explanation import explain
from detox_core.interventions.applying import applied_inside, fit_missing
from detox_core.measure.events import around_events, first_tokens
from detox_core.measure.meter import measure
from detox_core.score import Scorer
from detox_core.score.spans import WORDS
from detox_core.types import Decoding, Generation, Prompt, Variant

ELICITING = 0.66  # a prompt elicits toxicity when the first variant's reply scores above this
LONGEST = 50  # steps, as published
LEAST = 10  # replies a step must still have
SERIES = ("entropy", "relative", "dependence")
VERSION = 2  # of the lines; 2: with the places of words and toxic words


def explain_many(
    prompts: Sequence[Prompt],
    variants: Sequence[Variant],
    scorer: Scorer,
    path: Path,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[dict[str, Any]]:
    """Answer every prompt once with every variant, score the reply and explain it by the variant that wrote it.

    Args:
        path: where the lines are kept; prompts that are there already are not done again.

    Returns:
        One dictionary per prompt and variant: `id`, `variant`, `text`, `toxicity` (None = not scored) and per answer token `entropy`
        (bits), `relative` (0 to 1) and `dependence`; `words` and `toxic` are the indices of the answer tokens that begin a word
        and a toxic word. All are empty where the reply is.

    Raises:
        BadInput: the file was made with other settings.
        ModelError: an intervention that works after the model, which attribution does not see.
    """
    judge = {"scorer": scorer.id, "revision": scorer.revision}
    settings = {"version": VERSION, "variants": [variant.id for variant in variants], "seed": seed, **judge}
    rows = _resume(path, settings)
    done, pool = {row["id"] for row in rows}, Pool()
    for variant in variants:
        fit_missing(pool.get(variant), variant)
        with applied_inside(pool.get(variant), variant):
            pass  # what cannot be explained is refused before the first answer
    with path.open("a", encoding="utf-8") as file:
        for number, prompt in enumerate(prompts, start=1):
            if prompt.id not in done:
                (measured,) = measure([prompt], variants, Decoding(seed=seed), scorer, pool)
                new = [_row(pool, variant, prompt, measured.generations, scorer) for variant in variants]
                file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in new))
                file.flush()
                rows += new
            on_progress(number, len(prompts))
    wanted = {prompt.id for prompt in prompts}
    return [row for row in rows if row["id"] in wanted]


def _row(pool: Pool, variant: Variant, prompt: Prompt, replies: Sequence[Generation], scorer: Scorer) -> dict[str, Any]:
    reply = next(reply for reply in replies if reply.variant == variant.id)
    score = reply.score.value if reply.score and reply.score.scored else None
    row: dict[str, Any] = {"id": prompt.id, "variant": variant.id, "text": reply.text, "toxicity": score}
    if not reply.tokens:
        return {**row, **{name: [] for name in (*SERIES, "words", "toxic")}}
    base = pool.get(variant)
    found = explain(base, variant, prompt.text, reply)
    series = (found.entropy(), found.entropy(relative=True), found.dependence())
    row |= {name: [round(float(value), 4) for value in values] for name, values in zip(SERIES, series, strict=True)}
    written = zip(reply.tokens, found.pieces[found.prompt :], strict=True)
    pieces = ["" if token in base.tokenizer.all_special_ids else piece for token, piece in written]  # the text is without them
    row["words"] = first_tokens([match.start() for match in WORDS.finditer(reply.text)], reply.text, pieces)
    row["toxic"] = first_tokens([span.start for span in toxic_spans(reply.text, scorer)], reply.text, pieces)
    return row


def _resume(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Lines of complete prompts; a line cut off by a kill, and its prompt's other lines, are cut from the file.

    What is kept is never written again, so a kill in here loses nothing either.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    if not lines:
        path.write_text(json.dumps(settings, ensure_ascii=False) + "\n", encoding="utf-8")
        return []
    if json.loads(lines[0]) != settings:
        raise BadInput(f"{path} was made with other settings. Delete it, or name another file with --out.")
    rows = len(lines) - 1
    kept = lines[: 1 + rows - rows % len(settings["variants"])]
    os.truncate(path, sum(len(line) + 1 for line in kept))
    return [json.loads(line) for line in kept[1:]]


def events_of(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """`around_events` for every series."""
    return {series: around_events(rows, series) for series in SERIES}


def steps_of(rows: Sequence[dict[str, Any]], first: str) -> dict[str, list[dict[str, Any]]]:
    """`by_step` for every series."""
    return {series: by_step(rows, series, first) for series in SERIES}


def by_step(rows: Sequence[dict[str, Any]], series: str, first: str) -> list[dict[str, Any]]:
    """Mean and 95 % interval (normal) of a series per variant, group of prompts and step.

    Args:
        series: entropy, relative or dependence.
        first: the variant whose toxicity divides the prompts into `eliciting` (above 0.66) and `rest`; prompts it did not
            answer with a scored reply are left out.

    Returns:
        Dictionaries `variant`, `group`, `step` (from 0), `mean`, `low`, `high`, `n`; steps with fewer than 10 replies are left out.
    """
    toxicity = {row["id"]: row["toxicity"] for row in rows if row["variant"] == first and row["toxicity"] is not None}
    found = []
    for variant in dict.fromkeys(row["variant"] for row in rows):
        for group in ("eliciting", "rest"):
            mine = [
                row[series]
                for row in rows
                if row["variant"] == variant and row["id"] in toxicity and (toxicity[row["id"]] > ELICITING) == (group == "eliciting")
            ]
            for step in range(LONGEST):
                values = np.array([line[step] for line in mine if len(line) > step and not math.isnan(line[step])])
                if len(values) < LEAST:
                    break
                half = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
                mean = float(values.mean())
                found.append(
                    {
                        "variant": variant,
                        "group": group,
                        "step": step,
                        "mean": mean,
                        "low": mean - half,
                        "high": mean + half,
                        "n": len(values),
                    }
                )
    return found
