"""A batch of replies, written token by token with the library's own `generate`."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.generation import LogitsProcessorList, StoppingCriteriaList

from detox_core.interventions.protocol import Patch, Row
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import PLAIN, mixable, mixed
from detox_core.types import Decoding, Finish, Generation, Variant

MAX_ROWS = 288  # rows of one batch; more are decoded in several
LARGE, MAX_ROWS_LARGE = 2**30, 96  # bytes of weights from which a model gets smaller batches: its cache needs the memory
FEW_ROWS = 16  # a batch up to this size gains nothing from dropping the rows that have ended
ROUND = 6  # tokens; after so many a larger batch goes on with the rows that have not ended


@dataclass(slots=True)
class Draft:
    """One reply in the making."""

    prompt: int  # its number among the prompts
    variant: Variant
    sample: int
    candidate: int  # the first is the reply, unless another is picked
    draw: int  # number of its random numbers
    read: list[int]  # token ids of the prompt in its chat format
    rewritten: str  # the prompt as an intervention rewrote it
    typed: str
    seed: int
    adapter: str
    turn: str | None  # text that would begin another user turn
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: Finish | None = None
    seconds: float = 0.0
    began: bool = False

    def reply(self, base: LoadedBase) -> Generation:
        """The reply as it stands."""
        text = str(base.tokenizer.decode(self.tokens, skip_special_tokens=True))
        if self.turn and self.finish == "turn":
            text = text.split(self.turn, 1)[0]
        return Generation(
            variant=self.variant.id,
            sample=self.sample,
            text=text.strip(),
            tokens=tuple(self.tokens),
            logprobs=tuple(self.logprobs),
            finish=self.finish or "length",
            seconds=self.seconds,
            read=self.rewritten,
        )


def max_rows(base: LoadedBase) -> int:
    """How many replies of this model are written in one batch."""
    return MAX_ROWS if base.bytes < LARGE else min(MAX_ROWS, MAX_ROWS_LARGE)


def batches(rows: Sequence[Draft], draws: int) -> list[list[Draft]]:
    """Rows of one (prompt, draw) share their noise and so stay in one batch; equal adapters lie side by side."""
    drawn, size = sorted({(row.prompt, row.draw) for row in rows}), max(1, draws)
    batches = []
    for at in range(0, len(drawn), size):
        chosen = set(drawn[at : at + size])
        batches.append(sorted((row for row in rows if (row.prompt, row.draw) in chosen), key=_place))
    return batches


def _place(row: Draft) -> tuple[str, str, int, int]:
    return row.adapter, row.variant.id, row.prompt, row.draw


class Batch:
    """Calls of the library's `generate`, observed and steered through its own hooks.

    `choose` is a logits processor: it draws each row's token by the Gumbel-max trick (argmax of logits plus Gumbel noise
    is a sample of the softmax; Maddison et al. 2014, eq. 2), so that every row has its own seeded noise inside one
    greedy batch. `observe` is a stopping criterion: it records tokens and ends rows.
    """

    def __init__(
        self, base: LoadedBase, rows: list[Draft], decoding: Decoding, on_update: Callable[[], None], stop: threading.Event, patch: Patch
    ) -> None:
        self.base, self.rows, self.decoding, self.on_update, self.stop = base, rows, decoding, on_update, stop
        self.noise = {(row.seed, row.draw): torch.Generator().manual_seed(row.seed * 1009 + row.draw) for row in rows}
        self.steering = patch.steer([Row(row.typed, tuple(row.read)) for row in rows]) if patch.steer else None
        self.eos = _eos_ids(base)
        self.started = self.told = time.perf_counter()

    def decode(self, alone: bool) -> None:
        """Write all replies; `alone` = one adapter, which the library itself switches on."""
        left = self.decoding.max_new_tokens
        for row in self.rows:
            row.began = True
        if alone:
            self.base.model.set_adapter(self.rows[0].adapter)
        self.alone, self.live = alone, self.rows
        self.cache, self.ids = self._read_once()
        while left and self.live:
            count = left if len(self.live) <= FEW_ROWS else min(left, ROUND)
            self._round(count)
            left -= count
        for row in self.rows:
            row.finish = row.finish or "length"
        self.on_update()

    def _read_once(self) -> tuple[Any, torch.Tensor]:
        """Cache and token ids of all rows; prompts that several samples share are read for all of them at once.

        The cache lacks the last token, which the library reads itself; it is None where nothing is shared.
        """
        tokenizer = self.base.tokenizer
        ids = tokenizer.pad({"input_ids": [row.read for row in self.rows]}, return_tensors="pt")["input_ids"].to(self.base.model.device)
        readers = [(row.variant.id, row.prompt) for row in self.rows]
        first = [at for at, reader in enumerate(readers) if at == 0 or reader != readers[at - 1]]
        if len(first) == len(readers) or self.steering:
            return None, ids
        cache = self._generate([self.rows[at] for at in first], ids[first], 1).past_key_values
        if not hasattr(cache, "crop"):
            return None, ids
        cache.crop(-1)
        owner = [sum(start <= at for start in first) - 1 for at in range(len(readers))]
        cache.batch_select_indices(torch.tensor(owner, device=ids.device))
        return cache, ids

    def _round(self, count: int) -> None:
        """Up to so many tokens for all live rows; then those that have ended leave."""
        steered = {"logits_processor": LogitsProcessorList([self.choose]), "stopping_criteria": StoppingCriteriaList([self.observe])}
        output = self._generate(self.live, self.ids, count, past_key_values=self.cache, **steered)
        kept = [at for at, row in enumerate(self.live) if row.finish is None]
        if not kept:
            self.live = []
            return
        if self.steering and len(kept) < len(self.live):
            self.steering.keep(kept)
        self.live, self.ids, self.cache = [self.live[at] for at in kept], output.sequences[kept], output.past_key_values
        if hasattr(self.cache, "batch_select_indices"):
            self.cache.batch_select_indices(torch.tensor(kept, device=self.ids.device))
        else:
            self.cache = None  # another kind of memory than keys and values: the texts are read again

    def _generate(self, rows: list[Draft], ids: torch.Tensor, count: int, **options: Any) -> Any:
        model: Any = self.base.model
        width = ids.shape[1]
        lengths = torch.tensor([len(row.read) + len(row.tokens) for row in rows], device=ids.device)
        mask = (torch.arange(width, device=ids.device) >= width - lengths[:, None]).long()
        config = GenerationConfig(
            max_new_tokens=count,
            do_sample=False,
            use_cache=True,
            return_dict_in_generate=True,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            eos_token_id=sorted(self.eos),
            pad_token_id=self.base.tokenizer.pad_token_id,
        )
        with torch.inference_mode(), nullcontext() if self.alone else mixed(model, [row.adapter for row in rows]):
            return model.generate(input_ids=ids, attention_mask=mask, generation_config=config, **options)

    def choose(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Logits (rows, vocabulary) -> values whose argmax is each row's sampled token."""
        if self.steering:
            logits = self.steering(input_ids, logits.float())
        self.distribution = logits.float().log_softmax(-1)
        if self.decoding.temperature == 0:
            return logits
        values = self.distribution / self.decoding.temperature
        if self.decoding.top_p < 1:
            values = nucleus(values, self.decoding.top_p)
        keys = {(row.seed, row.draw) for row in self.live if row.finish is None}
        noise = {key: _gumbel(values.shape[-1], self.noise[key]) for key in keys}
        ended = torch.zeros(values.shape[-1])
        return values + torch.stack([noise.get((row.seed, row.draw), ended) for row in self.live]).to(values.device)

    def observe(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:  # noqa: ARG002
        """Record the newest token of every live row; say which rows are done."""
        newest = input_ids[:, -1]
        logprobs = self.distribution.gather(1, newest[:, None])[:, 0].tolist()
        now = time.perf_counter()
        for row, token, logprob in zip(self.live, newest.tolist(), logprobs, strict=True):
            if row.finish:
                continue
            if token in self.eos:
                row.finish = "eos"
            else:
                row.tokens.append(token)
                row.logprobs.append(logprob)
                if self.stop.is_set():
                    row.finish = "stopped"
                elif row.turn and row.turn in self.base.tokenizer.decode(row.tokens[-2 * len(row.turn) :]):
                    row.finish = "turn"
            row.seconds = now - self.started
        if now - self.told > 0.05:
            self.told = now
            self.on_update()
        return torch.tensor([row.finish is not None for row in self.live], device=input_ids.device)


class Reading(Batch):
    """A batch of one row that is told which tokens to write, and remembers what it would rather have written."""

    def dictate(self, tokens: Sequence[int]) -> None:
        """Write exactly these tokens."""
        self.told_to, self.found = list(tokens), list[torch.Tensor]()
        self.rows[0].turn = None
        self.decode(self.rows[0].adapter != PLAIN and not mixable(self.base.model, [self.rows[0].adapter]))

    def choose(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Values whose argmax is the token dictated; what would have been drawn from is kept."""
        super().choose(input_ids, logits)
        self.found.append(self.distribution[0])
        forced = torch.full_like(self.distribution, -torch.inf)
        forced[:, self.told_to[len(self.found) - 1]] = 0.0
        return forced


def nucleus(values: torch.Tensor, top_p: float) -> torch.Tensor:
    """Logits (rows, vocabulary) with minus infinity outside the smallest set of tokens of probability `top_p` (Holtzman et al. 2020).

    The likeliest 128 tokens nearly always hold it; sorting the whole vocabulary would take longer than a step of a small model.
    """
    chances = values.softmax(-1)
    for width in (128, values.shape[-1]):
        top = chances.topk(min(width, values.shape[-1])).values
        within = top.cumsum(-1) - top < top_p  # what the likelier tokens hold does not suffice
        if not within[:, -1].any():
            break
    least = top.masked_fill(~within, 1.0).min(-1, keepdim=True).values
    return values.masked_fill(chances < least, -torch.inf)


def _gumbel(width: int, generator: torch.Generator) -> torch.Tensor:
    """Standard Gumbel noise, shape (width,)."""
    return -torch.empty(width).exponential_(generator=generator).log()


def _eos_ids(base: LoadedBase) -> set[int]:
    configured = getattr(base.model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return {int(i) for i in (*ids, base.tokenizer.eos_token_id) if i is not None}
