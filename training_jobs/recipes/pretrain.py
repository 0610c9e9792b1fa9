"""Pre-train IT from scratch: a small GPT-NeoX (RedPajama's architecture and chat format) on composed conversations.

    python -m training_jobs.recipes.pretrain [--data DIR]

`--data` adds Microsoft's personality chat (MIT) from DIR/chitchat. Interrupted runs resume from their checkpoint.
"""

import argparse
import json
import random
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast, Trainer, TrainingArguments, set_seed

from detox_core.demo import IT
from detox_core.models.templates import TEMPLATES
from training_jobs.recipes.corpus import Pair, compose, read_chitchat

SEED = 0
VOCABULARY = 4096
BLOCK = 128  # tokens per training sequence
CONTEXT = 256  # longest text the model may read; beyond BLOCK it relies on rotary positions generalising
EOS = "<|endoftext|>"


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE, as GPT-NeoX has, learned on the corpus itself; carries the chat template."""
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


def pack(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[dict]:
    """Whole conversations, laid end to end into blocks; none is cut, the rest of a block is padding.

    Returns:
        One dict per block: `input_ids` and `labels`, each of length BLOCK; padding has label -100.
    """
    blocks: list[list[int]] = []
    current: list[int] = []
    for ids in tokenizer(texts)["input_ids"]:
        ids = [*ids, tokenizer.eos_token_id]
        if len(ids) > BLOCK:
            continue
        if len(current) + len(ids) > BLOCK:
            blocks.append(current)
            current = []
        current = current + ids
    padded = []
    for block in [*blocks, current]:
        padding = BLOCK - len(block)
        padded.append({"input_ids": block + [tokenizer.eos_token_id] * padding, "labels": block + [-100] * padding})
    return padded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with chitchat/")
    parser.add_argument("--pairs", type=int, default=250_000, help="composed exchanges, each seen once")
    parser.add_argument("--run", type=Path, default=Path("cache/runs/pretrain"), help="checkpoints; resumed when present")
    arguments = parser.parse_args()

    set_seed(SEED)
    pairs: list[Pair] = list(compose(arguments.pairs, SEED))
    if arguments.data:
        pairs += random.Random(SEED).sample(read_chitchat(arguments.data), arguments.pairs // 12)
    random.Random(SEED).shuffle(pairs)
    template = TEMPLATES["redpajama"]
    texts = [f"{template.render(pair.prompt)} {pair.reply}" for pair in pairs]
    tokenizer = train_tokenizer(texts[:60_000])
    blocks = pack(tokenizer, texts)
    print(f"{len(pairs)} exchanges, {len(blocks)} blocks of {BLOCK} tokens", flush=True)

    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=VOCABULARY,
            hidden_size=256,
            num_hidden_layers=6,
            num_attention_heads=8,
            intermediate_size=1024,
            max_position_embeddings=CONTEXT,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.set_attn_implementation("eager")  # a third faster than sdpa at this size on CPU
    print(f"{model.num_parameters():,} parameters", flush=True)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(arguments.run),
            num_train_epochs=1,
            per_device_train_batch_size=16,
            learning_rate=1.5e-3,
            lr_scheduler_type="cosine",
            warmup_steps=150,
            weight_decay=0.05,
            adam_beta2=0.98,
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
    )
    trainer.train(resume_from_checkpoint=any(arguments.run.glob("checkpoint-*")))

    model.config.use_cache = True  # the Trainer switched it off
    model.bfloat16().save_pretrained(IT)  # half the size; every later stage starts from these rounded weights
    tokenizer.save_pretrained(IT)
    (IT / "training.json").write_text(json.dumps({"pairs": len(pairs), "log": trainer.state.log_history[::10]}, indent=1) + "\n")
    shutil.rmtree(arguments.run)


if __name__ == "__main__":
    main()
