"""Answer prompts with all variants of a base as one batch, token by token. Knows nothing of scores or pages."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.generation import LogitsProcessorList, StoppingCriteriaList

from detox_core.errors import BadInput
from detox_core.interventions.applying import applied
from detox_core.interventions.protocol import Patch, Row
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import PLAIN, mixable, mixed
from detox_core.request import check_decoding
from detox_core.types import Decoding, Finish, Generation, Variant

MAX_ROWS = 288  # rows of one batch; more are decoded in several
LARGE, MAX_ROWS_LARGE = 2**30, 96  # bytes of weights from which a model gets smaller batches: its cache needs the memory
FEW_ROWS = 16  # a batch up to this size gains nothing from dropping the rows that have ended
ROUND = 6  # tokens; after so many a larger batch goes on with the rows that have not ended
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

    All variants are rows of one mixed-adapter batch, except adapters that PEFT cannot mix and variants with interventions, which
    follow one by one.
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
    (replies,) = generate_many(base, [(prompt, decoding.seed)], variants, decoding, lambda now: on_update(now[0]), stop)
    return replies


def generate_many(
    base: LoadedBase,
    prompts: Sequence[tuple[str, int]],
    variants: Sequence[Variant],
    decoding: Decoding,
    on_update: Callable[[list[list[Generation]]], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> list[list[Generation]]:
    """Reply to several prompts, each as `generate` would with its own seed, in as few batches as fit.

    A prompt is read once for all its samples, and rows that have ended leave the batch every 6 tokens, so long replies do not hold up
    the many short ones. Prompts of similar length make the least padding.

    Args:
        prompts: text and seed of each; `decoding.seed` is not used.
        on_update: as for `generate`, with one list per prompt.

    Returns:
        One list per prompt, in the order of `variants` and samples.

    Raises:
        BadInput, ModelError: as `generate`.
    """
    check_decoding(decoding)
    stop = stop or threading.Event()
    rows: list[_Row] = []

    def told() -> list[list[Generation]]:
        order = {variant.id: number for number, variant in enumerate(variants)}
        begun: list[list[Generation]] = [[] for _ in prompts]
        for row in sorted(rows, key=lambda row: (order[row.variant.id], row.sample)):
            if row.began and row.candidate == 0:
                begun[row.prompt].append(row.reply(base))
        return begun

    for members in _together(base, variants):
        with applied(base, members[0]) if members[0].interventions else nullcontext(Patch()) as patch:
            own = _rows(base, prompts, members, decoding, patch)
            rows += own
            for batch in _batches(own, max_rows(base) // (len(members) * patch.rows)):
                alone = batch[0].adapter != PLAIN and not mixable(base.model, [batch[0].adapter])
                _Batch(base, batch, decoding, lambda: on_update(told()), stop, patch).decode(alone)
            if patch.pick:
                _pick(base, own, prompts, patch.pick, patch.candidates)
                on_update(told())
    return told()


def read_as(base: LoadedBase, variant: Variant, prompt: str, tokens: Sequence[int]) -> torch.Tensor:
    """What a variant, interventions included, would have written in each place of a given reply.

    Returns:
        Log-probabilities at temperature 1 before each token, (tokens, vocabulary), float32.

    Raises:
        BadInput, ModelError: as `generate`.
    """
    decoding = Decoding(temperature=0, max_new_tokens=len(tokens))
    with applied(base, variant) as patch:
        row = _rows(base, [(prompt, 0)], [variant], decoding, replace(patch, candidates=1))[0]
        reading = _Reading(base, [row], decoding, lambda: None, threading.Event(), patch)
        reading.dictate(tokens)
    return torch.stack(reading.found)


def _together(base: LoadedBase, variants: Sequence[Variant]) -> list[list[Variant]]:
    """Which variants are answered at once; one with interventions is answered alone."""
    plain = [variant for variant in variants if not variant.interventions]
    mixes = mixable(base.model, [base.attach(variant.adapter) for variant in plain])
    groups = [plain] if mixes and plain else [[variant] for variant in plain]
    return [*groups, *([variant] for variant in variants if variant.interventions)]


def _rows(
    base: LoadedBase, prompts: Sequence[tuple[str, int]], variants: Sequence[Variant], decoding: Decoding, patch: Patch
) -> list["_Row"]:
    """The replies to write; a candidate is one more draw."""
    rewritten = {text: patch.rewrite(text) if patch.rewrite else text for text, _ in prompts}
    texts = {(text, variant.id): _read(base, rewritten[text], variant, decoding) for text, _ in prompts for variant in variants}
    return [
        _Row(
            prompt=at,
            variant=variant,
            sample=sample,
            candidate=candidate,
            draw=sample * patch.candidates + candidate,
            read=texts[text, variant.id],
            rewritten=rewritten[text] if rewritten[text] != text else "",
            typed=text,
            seed=seed,
            adapter=base.attach(variant.adapter),
            turn=base.next_turn(variant.template),
        )
        for at, (text, seed) in enumerate(prompts)
        for variant in variants
        for sample in range(decoding.samples)
        for candidate in range(patch.candidates)
    ]


def _pick(
    base: LoadedBase, rows: Sequence["_Row"], prompts: Sequence[tuple[str, int]], pick: Callable[[str, Sequence[str]], int], of: int
) -> None:
    """Of so many candidates the chosen one becomes the reply: it takes the place of the first."""
    for at in range(0, len(rows), of):
        candidates = rows[at : at + of]
        chosen = pick(prompts[candidates[0].prompt][0], [row.reply(base).text for row in candidates])
        for number, row in enumerate(candidates):
            row.candidate = (number - chosen) % of


@dataclass(slots=True)
class _Row:
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


def _read(base: LoadedBase, prompt: str, variant: Variant, decoding: Decoding) -> list[int]:
    """Token ids of a prompt in a variant's chat format."""
    ids = base.tokenizer(base.render(prompt, variant.template), add_special_tokens=False)["input_ids"]
    if len(ids) + decoding.max_new_tokens > base.context:
        raise BadInput(
            f"The prompt is {len(ids)} tokens long and the reply may have {decoding.max_new_tokens}, "
            f"but the model reads at most {base.context} in all. Shorten the prompt or the reply."
        )
    return list(ids)


def max_rows(base: LoadedBase) -> int:
    """How many replies of this model are written in one batch."""
    return MAX_ROWS if base.bytes < LARGE else min(MAX_ROWS, MAX_ROWS_LARGE)


def _batches(rows: Sequence[_Row], draws: int) -> list[list[_Row]]:
    """Rows of one (prompt, draw) share their noise and so stay in one batch; equal adapters lie side by side."""
    drawn, size = sorted({(row.prompt, row.draw) for row in rows}), max(1, draws)
    batches = []
    for at in range(0, len(drawn), size):
        chosen = set(drawn[at : at + size])
        batches.append(sorted((row for row in rows if (row.prompt, row.draw) in chosen), key=_place))
    return batches


def _place(row: _Row) -> tuple[str, str, int, int]:
    return row.adapter, row.variant.id, row.prompt, row.draw


class _Batch:
    """Calls of the library's `generate`, observed and steered through its own hooks.

    `choose` is a logits processor: it draws each row's token by the Gumbel-max trick (argmax of logits plus Gumbel noise
    is a sample of the softmax; Maddison et al. 2014, eq. 2), so that every row has its own seeded noise inside one
    greedy batch. `observe` is a stopping criterion: it records tokens and ends rows.
    """

    def __init__(
        self, base: LoadedBase, rows: list[_Row], decoding: Decoding, on_update: Callable[[], None], stop: threading.Event, patch: Patch
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

    def _generate(self, rows: list[_Row], ids: torch.Tensor, count: int, **options: Any) -> Any:
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


class _Reading(_Batch):
    """A batch of one row that is told which tokens to write, and remembers what it would rather have written."""

    def dictate(self, tokens: Sequence[int]) -> None:
        """Write exactly these tokens."""
        self.told_to, self.found = list(tokens), list[torch.Tensor]()
        self.rows[0].turn = None
        self.decode(self.rows[0].adapter != PLAIN and not mixable(self.base.model, [self.rows[0].adapter]))

    def choose(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
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
