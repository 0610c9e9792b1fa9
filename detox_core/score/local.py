"""The local scorer: Perspective's attributes plus HATE (contempt for a group, with or without strong words). English only, and says so.

Every token votes, and a text's log-odds are the mean of the votes.
"""

import math
from collections.abc import Sequence

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForTokenClassification, AutoTokenizer, BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

from detox_core.demo import SCORER
from detox_core.errors import ScorerError
from detox_core.models.checking import fingerprint, first_line
from detox_core.score.minilm import minilm_folder
from detox_core.score.spans import WORDS
from detox_core.score.unscorable import unscorable
from detox_core.types import Score, Span

# The outputs in the order of the head: Perspective's names, then ours.
ATTRIBUTES = ("TOXICITY", "SEVERE_TOXICITY", "IDENTITY_ATTACK", "INSULT", "PROFANITY", "THREAT", "SEXUALLY_EXPLICIT", "HATE")
MAX_TOKENS = 256
BATCH = 64
PATH = 24  # steps of integrated gradients


def build() -> PreTrainedModel:
    """MiniLM with one vote per token and attribute; the head is still random."""
    model: PreTrainedModel = AutoModelForTokenClassification.from_pretrained(
        minilm_folder(),
        num_labels=len(ATTRIBUTES),
        id2label=dict(enumerate(ATTRIBUTES)),
        label2id={name: index for index, name in enumerate(ATTRIBUTES)},
    )
    return model


def mean_votes(votes: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Log-odds (texts, attributes) from votes (texts, tokens, attributes); `counted` (texts, tokens) is 1 for tokens of the text itself."""
    weights = counted.unsqueeze(-1).to(votes.dtype)
    return (votes * weights).sum(1) / weights.sum(1).clamp(min=1)


class LocalScorer:
    """See `Scorer`; the score is TOXICITY, the other attributes come with it."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, revision: str) -> None:
        self.id, self.revision = "local", revision
        self.model, self.tokenizer = model.eval(), tokenizer

    def score(self, texts: Sequence[str]) -> list[Score]:
        """See `Scorer.score`. Texts beyond 256 tokens are judged by their beginning."""
        reasons = [unscorable(text) for text in texts]
        readable = [text for text, reason in zip(texts, reasons, strict=True) if reason is None]
        rows = iter(self.probabilities(readable))
        return [Score(math.nan, self.id, self.revision, reason=reason) if reason else self._score(next(rows)) for reason in reasons]

    def probabilities(self, texts: Sequence[str]) -> list[list[float]]:
        """Probabilities (texts, attributes), batched by length."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        rows: list[list[float]] = [[] for _ in texts]
        for at in range(0, len(order), BATCH):
            part = order[at : at + BATCH]
            votes, counted = self._votes([texts[index] for index in part])
            for index, row in zip(part, mean_votes(votes, counted).sigmoid().tolist(), strict=True):
                rows[index] = row
        return rows

    def contributions(self, text: str, attribute: str = "TOXICITY") -> tuple[float, list[Span]]:
        """What every word adds to the log-odds of an attribute, by integrated gradients (Sundararajan et al. 2017, eq. 1).

        The path leads from the text with all its tokens masked to the text itself, in 24 steps; what the sum misses for lack of
        steps is handed out in proportion to the shares.

        Returns:
            Log-odds of the masked text, and one span per word with its share; together they are exactly the text's log-odds. What
            stands between words (punctuation) is the share of the word before it, or of the first word.
        """
        column = ATTRIBUTES.index(attribute)
        inputs, counted, offsets = self._encode([text])
        embed = self.model.get_input_embeddings()
        inside = counted[0].bool()
        masked = torch.where(counted.bool(), self.tokenizer.mask_token_id, inputs["input_ids"])
        start, end = embed(masked).detach(), embed(inputs["input_ids"]).detach()
        steps = ((torch.arange(PATH) + 0.5) / PATH).to(start)[:, None, None]
        path = (start + steps * (end - start)).requires_grad_()
        attention = inputs["attention_mask"].expand(PATH, -1)
        log_odds = mean_votes(self.model(inputs_embeds=path, attention_mask=attention).logits.float(), counted.expand(PATH, -1))
        (gradient,) = torch.autograd.grad(log_odds[:, column].sum(), path)
        shares = (gradient.float().mean(0) * (end - start)[0].float()).sum(-1)[inside]
        with torch.inference_mode():
            both = self.model(inputs_embeds=torch.cat([start, end]), attention_mask=attention[:2]).logits.float()
            empty, full = mean_votes(both, counted.expand(2, -1))[:, column].tolist()
        missed = full - empty - shares.sum()
        shares = shares + missed * shares.abs() / shares.abs().sum().clamp(min=1e-9)
        words = [match.span() for match in WORDS.finditer(text)]
        totals = [0.0] * len(words)
        for begin, share in zip(offsets[0, inside, 0].tolist(), shares.tolist(), strict=True):
            totals[max(0, sum(at <= begin for at, _ in words) - 1)] += share
        return empty, [Span(*word, total) for word, total in zip(words, totals, strict=True)]

    @torch.inference_mode()
    def _votes(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, counted, _ = self._encode(texts)
        return self.model(**inputs).logits.float(), counted

    def _encode(self, texts: list[str]) -> tuple[BatchEncoding, torch.Tensor, torch.Tensor]:
        inputs = self.tokenizer(
            texts,
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            return_special_tokens_mask=True,
            return_offsets_mapping=True,
        ).to(self.model.device)
        special, offsets = inputs.pop("special_tokens_mask"), inputs.pop("offset_mapping")
        return inputs, 1 - special, offsets

    def _score(self, row: list[float]) -> Score:
        return Score(row[0], self.id, self.revision, attributes=dict(zip(ATTRIBUTES[1:], row[1:], strict=True)))


def local() -> LocalScorer:
    """The scorer that ships with the app.

    Raises:
        ScorerError: its files, or MiniLM's, are missing or damaged.
    """
    try:
        merged = PeftModel.from_pretrained(build(), str(SCORER)).merge_and_unload()
        tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ScorerError(
            f"The local scorer in {SCORER} could not be loaded: {first_line(error)} Restore it with: git checkout {SCORER}"
        ) from error
    # Where the processor has bfloat16, 2.7 times the speed for differences below 0.01.
    fast = torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16")
    return LocalScorer(merged.to(torch.bfloat16 if fast else torch.float32), tokenizer, fingerprint(SCORER))
