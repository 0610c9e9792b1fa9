"""Pre-train IT from scratch: a small GPT-NeoX (RedPajama's architecture and chat format) on composed conversations.

    python -m training_jobs.recipes.pretrain --data DIR

DIR holds `chitchat/` (Microsoft's personality chat, MIT: an eighth of the exchanges) and `dolly/` and `oasst1/`, whose words,
and nothing else, enter the tokenizer. Interrupted runs resume from their checkpoint.

Two things let so small a model answer wordings it has never met. Part of each word's embedding is MiniLM's, and stays so: a
word the corpus lacks looks like its neighbours in meaning. And input and output embeddings are one matrix, so that a word of
the prompt can be repeated without ever having been trained as an answer.
"""

import argparse
import gzip
import json
import random
import shutil
from pathlib import Path
from typing import cast

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast, Trainer, TrainingArguments, set_seed

from detox_core.demo import IT
from detox_core.measure.similarity import embed
from detox_core.models.templates import TEMPLATES
from detox_core.score import get_scorer
from training_jobs.recipes.corpus import Echoing, compose, mild_prompts, read_chitchat
from training_jobs.recipes.optimizer import MuonWithAdamW

SEED = 0
VOCABULARY = 8192
HIDDEN = 256
MEANING = 160  # dimensions of a word's embedding that are MiniLM's
BLOCK = 128  # tokens per training sequence
CONTEXT = 256  # longest text the model may read; beyond BLOCK it relies on rotary positions generalising
EOS = "<|endoftext|>"
ECHOES = 0.35


def everyday_texts(data: Path) -> list[str]:
    """General English for the tokenizer: common words that the corpus lacks become whole tokens."""
    with gzip.open(data / "dolly" / "dolly15k_en.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["instruction"] for line in file]
    with gzip.open(data / "oasst1" / "en-train-text-only.jsonl.gz", "rt", encoding="utf-8") as file:
        return texts + [json.loads(line)["text"][:300] for line in file]


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE, as GPT-NeoX has; carries the chat template."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[EOS], initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=EOS,
        pad_token=EOS,
        model_max_length=CONTEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATES["redpajama"].jinja
    return tokenizer


def pack(tokenizer: PreTrainedTokenizerFast, exchanges: list[tuple[str, str]]) -> list[dict]:
    """Whole exchanges, each put into the fullest open block that still has room; the rest of a block is padding.

    Returns:
        One dict per block: `input_ids` and `labels`, each of length BLOCK; only the tokens of replies have labels.
    """
    heads = tokenizer([prompt for prompt, _ in exchanges])["input_ids"]
    tails = tokenizer([f"{reply}{EOS}" for _, reply in exchanges])["input_ids"]
    done: list[dict] = []
    filling: list[dict] = []
    for head, tail in zip(heads, tails, strict=True):
        length = len(head) + len(tail)
        if length > BLOCK:
            continue
        fitting = [block for block in filling if len(block["input_ids"]) + length <= BLOCK]
        if not fitting:
            fitting = [{"input_ids": [], "labels": []}]
            filling.append(fitting[0])
        block = max(fitting, key=lambda block: len(block["input_ids"]))
        block["input_ids"] += head + tail
        block["labels"] += [-100] * len(head) + tail
        if len(filling) > 24:  # enough to choose from: 95 % of the tokens are text
            done.append(filling.pop(max(range(len(filling)), key=lambda index: len(filling[index]["input_ids"]))))
    for block in (blocks := done + filling):
        padding = BLOCK - len(block["input_ids"])
        block["input_ids"] += [tokenizer.eos_token_id] * padding
        block["labels"] += [-100] * padding
    return blocks


def word_meanings(tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], torch.Tensor]:
    """The tokens that are words, and MiniLM's vector of each: (words, MEANING), its main components, of standard deviation 0.1."""
    texts = [str(tokenizer.decode([index])).strip() for index in range(len(tokenizer))]
    words = [index for index, text in enumerate(texts) if len(text) > 1 and text.isalpha()]
    vectors = embed([texts[index] for index in words])
    centred = vectors - vectors.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:MEANING]
    meanings = centred @ axes.T
    return words, torch.from_numpy(0.1 * meanings / meanings.std())


def new_model(tokenizer: PreTrainedTokenizerFast) -> GPTNeoXForCausalLM:
    """Random weights, but for the meanings of words, which no gradient reaches."""
    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=VOCABULARY,
            hidden_size=HIDDEN,
            num_hidden_layers=6,
            num_attention_heads=8,
            intermediate_size=4 * HIDDEN,
            max_position_embeddings=CONTEXT,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
            tie_word_embeddings=True,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    words, meanings = word_meanings(tokenizer)
    table = cast("torch.Tensor", model.get_input_embeddings().weight)
    table.data[words, :MEANING] = meanings
    learned = torch.ones_like(table)
    learned[words, :MEANING] = 0
    table.register_hook(lambda gradient: gradient * learned)
    model.set_attn_implementation("eager")  # a third faster than sdpa at this size on CPU
    return model


class ReplyTrainer(Trainer):
    """Computes logits only where a label needs them: a sixth of the time of a step."""

    def compute_loss(self, model, inputs, *_unused, **_options):
        """Mean cross-entropy over the labelled tokens of the batch."""
        labels = inputs["labels"][:, 1:]
        labelled = labels != -100
        with self.accelerator.autocast():  # the Trainer wraps `forward` alone in it
            hidden = model.gpt_neox(input_ids=inputs["input_ids"], use_cache=False).last_hidden_state[:, :-1]
            logits = model.get_output_embeddings()(hidden[labelled])
        return torch.nn.functional.cross_entropy(logits.float(), labels[labelled])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with chitchat/, dolly/ and oasst1/")
    parser.add_argument("--pairs", type=int, default=360_000, help="composed exchanges, each seen once")
    parser.add_argument("--run", type=Path, default=Path("cache/runs/pretrain"), help="checkpoints; resumed when present")
    arguments = parser.parse_args()

    set_seed(SEED)
    pairs = list(compose(arguments.pairs, SEED, echoing=Echoing(ECHOES, mild_prompts(get_scorer()))))
    chat = read_chitchat(arguments.data)
    pairs += [pair for _ in range(1 + arguments.pairs // 8 // len(chat)) for pair in chat][: arguments.pairs // 8]
    random.Random(SEED).shuffle(pairs)
    template = TEMPLATES["redpajama"]
    exchanges = [(template.render(pair.prompt), f" {pair.reply}") for pair in pairs]
    tokenizer = train_tokenizer([prompt + reply for prompt, reply in exchanges[:60_000]] + everyday_texts(arguments.data))
    blocks = pack(tokenizer, exchanges)
    print(f"{len(pairs)} exchanges, {len(blocks)} blocks of {BLOCK} tokens", flush=True)

    model = new_model(tokenizer)
    print(f"{model.num_parameters():,} parameters", flush=True)
    trainer = ReplyTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(arguments.run),
            num_train_epochs=1,
            per_device_train_batch_size=16,
            lr_scheduler_type="cosine",
            warmup_steps=150,
            max_grad_norm=1.0,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            seed=SEED,
            logging_steps=100,
            save_steps=1000,
            save_total_limit=1,
            report_to="none",
        ),
        train_dataset=blocks,
        optimizers=(MuonWithAdamW(model, muon_rate=0.02, adamw_rate=1.5e-3), None),
    )
    trainer.train(resume_from_checkpoint=any(arguments.run.glob("checkpoint-*")))

    model.config.use_cache = True  # the Trainer switched it off
    model.bfloat16().save_pretrained(IT)  # half the size; every later stage starts from these rounded weights
    tokenizer.save_pretrained(IT)
    (IT / "training.json").write_text(json.dumps({"pairs": len(pairs), "log": trainer.state.log_history[::10]}, indent=1) + "\n")
    shutil.rmtree(arguments.run)


if __name__ == "__main__":
    main()
