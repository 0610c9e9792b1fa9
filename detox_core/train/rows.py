"""Rows of a data set as the columns that TRL's trainers want."""

import random
from typing import Any

from detox_core.data import read_dataset
from detox_core.data.reading import Pair
from detox_core.errors import BadInput
from detox_core.models.loading import LoadedBase
from detox_core.models.templates import named_template, opening
from detox_core.train.spec import METHODS, TrainSpec
from detox_core.types import Variant


def rows_for(spec: TrainSpec, base: LoadedBase, variant: Variant) -> list[dict[str, Any]]:
    """The rows a method trains on, in a seeded order.

    A prompt ends where the model's reply begins, without a space, and the reply starts with one (where the chat format does not
    end the line): tokenizers then cut both alike.

    Returns:
        SFT: `prompt`, `completion`. DPO: `prompt`, `chosen`, `rejected`. KTO: `prompt`, `completion`, `label`. RLOO, GRPO: `prompt`
        and the plain `text`.

    Raises:
        BadInput: the data set lacks what the method needs.
    """
    reading, needs = read_dataset(spec.data), METHODS[spec.method].needs
    rng = random.Random(spec.seed)
    if needs == "prompts":
        rows = [{"prompt": base.render(prompt.text, variant.template), "text": prompt.text} for prompt in reading.prompts]
    else:
        rows = [_row(pair, base, variant) for pair in reading.pairs]
        if not rows:
            raise BadInput(f"{spec.data} has no replies, which {METHODS[spec.method].label} learns from. Choose another data set.")
        if needs == "pairs":
            rows = [row for row in rows if "rejected" in row]
            if not rows:
                raise BadInput(f"{spec.data} has no rejected replies, which {METHODS[spec.method].label} needs. Choose another data set.")
    rng.shuffle(rows)
    return as_columns(spec, rows[: spec.rows])


def as_columns(spec: TrainSpec, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with `prompt`, `chosen` and maybe `rejected` as the method's trainer wants them; others stay as they are."""
    if spec.method == "sft":
        return [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows]
    if spec.method == "kto":
        rng = random.Random(spec.seed)
        sides = {"chosen": True, "rejected": False}
        both = [{"prompt": row["prompt"], "completion": row[side], "label": good} for row in rows for side, good in sides.items()]
        rng.shuffle(both)
        return both
    return rows


def _row(pair: Pair, base: LoadedBase, variant: Variant) -> dict[str, Any]:
    prompt = _dialogue(pair, base, variant)
    sides = {"chosen": pair.reply.strip(), "rejected": pair.rejected.strip()}
    return {"prompt": prompt} | {side: opening(prompt) + text for side, text in sides.items() if text}


def _dialogue(pair: Pair, base: LoadedBase, variant: Variant) -> str:
    """All earlier turns and the prompt in the model's chat format; turns alternate, the last one before the reply is the person's."""
    if not pair.antecedents:
        return base.render(pair.prompt, variant.template)
    turns = [*pair.antecedents, pair.prompt]
    if variant.template is None and base.tokenizer.chat_template is not None:
        roles = ["user" if (len(turns) - at) % 2 else "assistant" for at in range(len(turns))]
        messages = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=True)]
        begun = messages[roles[0] == "assistant" :]  # a dialogue begins with the person
        return str(base.tokenizer.apply_chat_template(begun, tokenize=False, add_generation_prompt=True))
    template = named_template(variant.template or "plain")
    parts = [template.render(turn) if (len(turns) - at) % 2 else f" {turn}\n" for at, turn in enumerate(turns)]
    return "".join(parts)
