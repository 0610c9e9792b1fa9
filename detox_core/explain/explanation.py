"""One answer explained: which tokens of prompt and answer each of its tokens hangs on, as one value that can be drawn or stored."""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from detox_core.explain.attribution import Method, Reading, Target, attribute
from detox_core.explain.measures import attribution_entropy, longest_entropy, merge, prompt_dependence, shares
from detox_core.models.loading import LoadedBase
from detox_core.types import Generation, Variant

BREAK = re.compile(r"[^\w']")  # an apostrophe belongs to its word


@dataclass(frozen=True, slots=True)
class Explanation:
    """Attribution of one answer by one variant, which need not be the one that wrote it.

    Attributes:
        variant: whose gradients these are.
        answer_of: who wrote the answer.
        pieces: text of every token, prompt first; together they are the text that was read.
        prompt: number of prompt tokens, the chat format included.
        own: per prompt token, whether it belongs to the person's words and not to the chat format.
        matrix: shares (tokens, answer tokens); columns sum to 1.
    """

    variant: str
    answer_of: str
    method: str
    target: str
    pieces: tuple[str, ...]
    prompt: int
    own: tuple[bool, ...]
    matrix: np.ndarray

    def rows(self, *, template: bool = True) -> np.ndarray:
        """Which tokens count as prompt: all of it, or the person's words alone."""
        kept = [True] * self.prompt if template else list(self.own)
        return np.array(kept + [False] * (len(self.pieces) - self.prompt))

    def dependence(self, *, template: bool = True) -> np.ndarray:
        """Prompt dependence of each answer token, in [0, 1]."""
        return prompt_dependence(self.matrix, self.rows(template=template))

    def entropy(self, *, template: bool = True, relative: bool = False) -> np.ndarray:
        """Attribution entropy of each answer token over the prompt, in bits; `relative`: divided by the largest possible."""
        rows = self.rows(template=template)
        return attribution_entropy(self.matrix, rows) / (longest_entropy(rows) if relative else 1.0)

    def words(self) -> tuple[list[str], int, np.ndarray]:
        """Tokens merged to words: their texts, how many belong to the prompt, and shares (words, answer words)."""
        units = word_units(self.pieces, self.prompt)
        texts = [
            "".join(piece for piece, unit in zip(self.pieces, units, strict=True) if unit == number) for number in range(units[-1] + 1)
        ]
        first = units[self.prompt]
        return texts, first, merge(self.matrix, units, [unit - first for unit in units[self.prompt :]])


def explain(
    base: LoadedBase,
    variant: Variant,
    prompt: str,
    reply: Generation,
    method: Method = "input_x_gradient",
    target: Target = "probability",
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    stop: threading.Event | None = None,
) -> Explanation:
    """Why `variant` would write `reply` to `prompt`; the exact token ids of the reply are read.

    Raises:
        BadInput, ModelError, InterruptedError: see `attribute`.
    """
    rendered = base.render(prompt, variant.template)
    ids = base.tokenizer(rendered, add_special_tokens=False)["input_ids"]
    raw = attribute(base, Reading(base.attach(variant.adapter), tuple(ids), reply.tokens), method, target, on_progress, stop)
    read = token_texts(base.tokenizer, ids)
    start = rendered.rfind(prompt)
    ends = np.cumsum([len(piece) for piece in read])
    own = tuple(bool(end > start and end - len(piece) < start + len(prompt)) for end, piece in zip(ends, read, strict=True))
    pieces = (*read, *token_texts(base.tokenizer, reply.tokens))
    return Explanation(variant.id, reply.variant, method, target, pieces, len(ids), own, shares(raw))


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text; a letter cut into several tokens shows where its last byte comes."""
    texts, before = [], ""
    for end in range(1, len(ids) + 1):
        now = str(tokenizer.decode(list(ids[:end]), skip_special_tokens=False, clean_up_tokenization_spaces=False))
        whole = now.rstrip("\N{REPLACEMENT CHARACTER}")
        texts.append(whole[len(before) :] if len(whole) >= len(before) else "")
        before = whole
    return texts


def word_units(pieces: Sequence[str], prompt: int) -> list[int]:
    """The word each token belongs to, ascending from 0; a space, a sign or the start of the answer begins a new one."""
    units: list[int] = []
    for at, piece in enumerate(pieces):
        joined = at not in (0, prompt) and piece and not BREAK.match(piece) and not BREAK.match(pieces[at - 1][-1:])
        units.append(units[-1] if units and (joined or (not piece and at != prompt)) else (units[-1] + 1 if units else 0))
    return units
