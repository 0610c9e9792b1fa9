"""Answer one prompt with all variants of a base as one batch, token by token. Knows nothing of scores or pages."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial

import torch
from transformers import GenerationConfig
from transformers.generation import LogitsProcessorList, StoppingCriteriaList, TopPLogitsWarper

from detox_core.errors import BadInput
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import PLAIN, mixable, mixed
from detox_core.request import check_decoding
from detox_core.types import Decoding, Finish, Generation, Variant

MAX_ROWS = 96  # rows of one batch; more are decoded in several
OnUpdate = Callable[[list[Generation]], None]


def generate(
    base: LoadedBase,
    prompt: str,
    variants: Sequence[Variant],
    decoding: Decoding,
    on_update: OnUpdate = lambda _: None,
    stop: threading.Event | None = None,
) -> list[Generation]:
    """Reply to `prompt` with every variant, `decoding.samples` times each.

    All variants are rows of one mixed-adapter batch, except adapters that PEFT cannot mix, which follow one by one.
    The random numbers depend on seed and sample number alone. So a column does not change when another is added, and two variants
    differ only where their probabilities do.

    Args:
        base: the base model of all `variants`.
        on_update: called with all replies so far after every token (at most 20 times a second), and at the end.
        stop: when set, decoding ends at the next token and keeps the partial text.

    Raises:
        BadInput: settings out of range, or prompt and reply do not fit into the model's context.
        ModelError: an adapter is missing, damaged or of another base.
    """
    check_decoding(decoding)
    adapters = {variant.id: base.attach(variant.adapter) for variant in variants}
    together = mixable(base.model, list(adapters.values()))
    columns = [list(variants)] if together else [[variant] for variant in variants]
    batches = [
        [(variant, sample) for variant in members for sample in samples]
        for members in columns
        for samples in _portions(decoding.samples, max(1, MAX_ROWS // len(members)))
    ]
    done: list[Generation] = []
    for batch in batches:
        run = _Batch(base, prompt, batch, decoding, lambda now, before=tuple(done): on_update([*before, *now]), stop)
        done += run.decode([adapters[variant.id] for variant, _ in batch], alone=not together and adapters[batch[0][0].id] != PLAIN)
    order = [variant.id for variant in variants]
    return sorted(done, key=lambda reply: (order.index(reply.variant), reply.sample))


def _portions(count: int, size: int) -> list[range]:
    return [range(at, min(at + size, count)) for at in range(0, count, size)]


class _Batch:
    """One call of the library's `generate`, observed and steered through its own hooks.

    `choose` is a logits processor: it draws each row's token by the Gumbel-max trick (argmax of logits plus Gumbel noise
    is a sample of the softmax; Maddison et al. 2014, eq. 2), so that every row has its own seeded noise inside one
    greedy batch. `observe` is a stopping criterion: it records tokens and ends rows.
    """

    def __init__(self, base, prompt, rows, decoding, on_update, stop) -> None:
        self.base, self.rows, self.decoding, self.on_update = base, rows, decoding, on_update
        self.stop = stop or threading.Event()
        self.texts = [base.render(prompt, variant.template) for variant, _ in rows]
        self.turns = [base.next_turn(variant.template) for variant, _ in rows]
        self.tokens: list[list[int]] = [[] for _ in rows]
        self.logprobs: list[list[float]] = [[] for _ in rows]
        self.finish: list[Finish | None] = [None for _ in rows]
        self.seconds = [0.0 for _ in rows]
        self.noise = {sample: torch.Generator().manual_seed(decoding.seed * 1009 + sample) for _, sample in rows}
        self.top_p = TopPLogitsWarper(decoding.top_p) if decoding.top_p < 1 else None
        self.eos = _eos_ids(base)
        self.started = self.told = time.perf_counter()

    def decode(self, adapters: list[str], alone: bool) -> list[Generation]:
        """Run the batch; `adapters` names one adapter a row, equal ones side by side."""
        model, tokenizer = self.base.model, self.base.tokenizer
        inputs = tokenizer(self.texts, return_tensors="pt", padding=True, add_special_tokens=False, return_token_type_ids=False)
        inputs = inputs.to(model.device)
        length = inputs["input_ids"].shape[1]
        if length + self.decoding.max_new_tokens > self.base.context:
            raise BadInput(
                f"The prompt is {length} tokens long and the reply may have {self.decoding.max_new_tokens}, "
                f"but the model reads at most {self.base.context} in all. Shorten the prompt or the reply."
            )
        options = {
            "generation_config": GenerationConfig(
                max_new_tokens=self.decoding.max_new_tokens,
                do_sample=False,
                use_cache=True,
                repetition_penalty=1.0,
                no_repeat_ngram_size=0,
                eos_token_id=sorted(self.eos),
                pad_token_id=tokenizer.pad_token_id,
            ),
            "logits_processor": LogitsProcessorList([self.choose]),
            "stopping_criteria": StoppingCriteriaList([partial(self.observe, length)]),
        }
        if alone:
            model.set_adapter(adapters[0])
        with torch.inference_mode(), nullcontext() if alone else mixed(model, adapters):
            model.generate(**inputs, **options)
        self.finish = [finish or "length" for finish in self.finish]
        replies = self.replies()
        self.on_update(replies)
        return replies

    def choose(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Logits (rows, vocabulary) -> values whose argmax is each row's sampled token."""
        self.distribution = logits.float().log_softmax(-1)
        if self.decoding.temperature == 0:
            return logits
        values = self.distribution / self.decoding.temperature
        if self.top_p is not None:
            values = self.top_p(input_ids, values)
        width = values.shape[-1]
        noise = {sample: _gumbel(width, generator) for sample, generator in self.noise.items()}
        return values + torch.stack([noise[sample] for _, sample in self.rows]).to(values.device)

    def observe(self, length: int, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:  # noqa: ARG002
        """Record the newest token of every live row; say which rows are done."""
        newest = input_ids[:, -1]
        logprobs = self.distribution.gather(1, newest[:, None])[:, 0].tolist()
        now = time.perf_counter()
        for row, (token, logprob) in enumerate(zip(newest.tolist(), logprobs, strict=True)):
            if self.finish[row]:
                continue
            if token in self.eos:
                self.finish[row] = "eos"
            else:
                self.tokens[row].append(token)
                self.logprobs[row].append(logprob)
                if self.stop.is_set():
                    self.finish[row] = "stopped"
                elif self._next_turn_begun(row):
                    self.finish[row] = "turn"
            self.seconds[row] = now - self.started
        if now - self.told > 0.05:
            self.told = now
            self.on_update(self.replies())
        return torch.tensor([finish is not None for finish in self.finish], device=input_ids.device)

    def replies(self) -> list[Generation]:
        """All rows as they stand."""
        return [
            Generation(
                variant=variant.id,
                sample=sample,
                text=self._text(row),
                tokens=tuple(self.tokens[row]),
                logprobs=tuple(self.logprobs[row]),
                finish=self.finish[row] or "length",
                seconds=self.seconds[row],
            )
            for row, (variant, sample) in enumerate(self.rows)
        ]

    def _text(self, row: int) -> str:
        text = self.base.tokenizer.decode(self.tokens[row], skip_special_tokens=True)
        turn = self.turns[row]
        if turn and self.finish[row] == "turn":
            text = text.split(turn, 1)[0]
        return text.strip()

    def _next_turn_begun(self, row: int) -> bool:
        turn = self.turns[row]
        return turn is not None and turn in self.base.tokenizer.decode(self.tokens[row][-2 * len(turn) :])


def _gumbel(width: int, generator: torch.Generator) -> torch.Tensor:
    """Standard Gumbel noise, shape (width,)."""
    return -torch.empty(width).exponential_(generator=generator).log()


def _eos_ids(base: LoadedBase) -> set[int]:
    configured = getattr(base.model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return {int(i) for i in (*ids, base.tokenizer.eos_token_id) if i is not None}
