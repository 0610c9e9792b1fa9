"""The attribution methods of Inseq on any loaded causal model, in the form of ours.

Inseq explains one generated token after the other. It gets exact token ids, because it would tokenise text again and may shift the
boundary, and a copy of the tokenizer, because it changes it.
"""

import copy
import inspect
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from detox_core.errors import BadInput, DetoxError, ModelError
from detox_core.explain.attribution import Method, Reading, Target, attribute, check_reading, explainable
from detox_core.explain.methods import METHODS, MethodCard
from detox_core.explain.untouched import untouched
from detox_core.models.checking import first_line
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import PLAIN

BATCH = 16  # changed texts read at once
STEPS = 20  # of the path methods; ours takes 50, but these pay for each token anew
HIDDEN = 0.3  # share of the tokens that LIME hides; Inseq's default
AT_ONCE = ("attention", "value_zeroing")  # one call gives the columns of all tokens
FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, ImportError)

_probed: weakref.WeakKeyDictionary[torch.nn.Module, dict[str, str | None]] = weakref.WeakKeyDictionary()


def by_method(
    base: LoadedBase,
    reading: Reading,
    method: str,
    target: Target = "probability",
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    stop: threading.Event | None = None,
) -> np.ndarray:
    """The matrix of `attribute` by a method of Inseq, aggregated as its card says.

    Args:
        on_progress: called with generated tokens done and in all.
        stop: when set, ends before the next pass through the model.

    Raises:
        BadInput: see `attribute`; or no method of Inseq in `METHODS`.
        ModelError: the method does not work with this model.
        InterruptedError: stopped.
    """
    card = METHODS.get(method)
    if card is None or card.ours:
        raise BadInput(f"There is no method {method!r} of Inseq here. Use {', '.join(x for x in METHODS if not METHODS[x].ours)}.")
    check_reading(base, reading, target)
    prompt, count = len(reading.prompt), len(reading.answer)
    pieces = [(0, count)] if method in AT_ONCE else [(place, place + 1) for place in range(count)]
    scores = np.zeros((prompt + count, count), dtype=np.float32)
    with explainable(base, reading.adapter) as model, untouched(model, eager=method == "attention"), tempfile.TemporaryDirectory() as notes:
        model.register_forward_pre_hook(lambda *_: _heed(stop))
        with _told(card):
            wrapped = _wrap(base, model, method, notes)
        for start, end in pieces:
            _heed(stop)
            with _told(card):
                scores[: prompt + end, start:end] = _columns(wrapped, method, reading, start, end, target)
            on_progress(end, count)
    scores[np.arange(prompt + count)[:, None] >= prompt + np.arange(count)] = 0  # Inseq has NaN there
    if not np.isfinite(scores).all():
        raise ModelError(f"{card.label} gave numbers that are not finite. Load the model in float32 and try again.")
    return scores


def works(base: LoadedBase, method: str) -> str | None:
    """None if a method runs on this model, else a sentence why not; tried once per loaded model on three tokens.

    Raises:
        BadInput: a method that is not in `METHODS`.
    """
    if method not in METHODS:
        raise BadInput(f"There is no method {method!r}. Use {', '.join(METHODS)}.")
    model = base.model.get_base_model() if isinstance(base.model, PeftModel) else base.model
    known = _probed.setdefault(model, {})
    if method not in known:
        ids = (base.tokenizer("What do you think of it?", add_special_tokens=False)["input_ids"] * 3)[:3]
        reading = Reading(PLAIN, tuple(ids[:2]), tuple(ids[2:]))
        try:
            attribute(base, reading, cast("Method", method)) if METHODS[method].ours else by_method(base, reading, method)
            known[method] = None
        except DetoxError as error:
            known[method] = str(error)
    return known[method]


def refusals(
    bases: Sequence[LoadedBase], on_phase: Callable[[str], None] = lambda _: None, stop: threading.Event | None = None
) -> dict[str, str]:
    """The methods that do not run on every one of these models, each with a sentence why not.

    Raises:
        InterruptedError: stopped.
    """
    found = {}
    for number, method in enumerate(METHODS, start=1):
        _heed(stop)
        on_phase(f"trying the methods on this model: method {number} of {len(METHODS)}")
        found[method] = next((why for base in bases if (why := works(base, method))), None)
    return {method: why for method, why in found.items() if why}


def _heed(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise InterruptedError("Stopped.")


@contextmanager
def _told(card: MethodCard) -> Iterator[None]:
    """Inside, whatever a library raises becomes one plain sentence, and its warnings are not shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FAILURES as error:
        raise ModelError(_sentence(card, error)) from error


def _sentence(card: MethodCard, error: Exception) -> str:
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError):
        return f"There is not enough memory for {card.label} here. Explain a shorter answer, or use input x gradient."
    if "does not require grad" in text or "not have been used in the graph" in text:
        return f"{card.label} needs gradients, and the embeddings of this model take none. Attention, occlusion and LIME need none."
    if card.id == "attention":
        return "This model gives no attention weights, and its attention cannot be switched to one that does."
    return f"{card.label} does not work with this model: {first_line(error)}"


def _wrap(base: LoadedBase, model: PreTrainedModel, method: str, notes: str) -> Any:
    """Inseq's model with the method set up; `notes` is a folder for what it writes on the way."""
    from inseq.models import HuggingfaceDecoderOnlyModel

    tokenizer = copy.deepcopy(base.tokenizer)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if getattr(model.config, name, None) is None:  # Inseq cannot do without, though nothing here depends on them
            setattr(model.config, name, tokenizer.pad_token_id or 0)
    options: dict[str, Any] = {}
    if method == "discretized_integrated_gradients":
        options["cache_dir"] = notes  # its own place keeps pickle files that outlive a changed model
    elif method == "layer_gradient_x_activation":
        blocks = _blocks(model)
        options["target_layer"] = blocks[(len(blocks) - 1) // 2]
    elif method == "lime":
        options["perturb_func"] = _hide
    wrapped: Any = HuggingfaceDecoderOnlyModel(model, method, tokenizer, str(model.device), {}, {}, **options)
    if method == "discretized_integrated_gradients":
        builder = wrapped.attribution_method.method.path_builder
        builder.find_path = lru_cache(maxsize=None)(builder.find_path)  # asked anew for each generated token
    elif method == "value_zeroing":
        _mend(wrapped, model)
    return wrapped


def _columns(wrapped: Any, method: str, reading: Reading, start: int, end: int, target: Target) -> np.ndarray:
    """Scores for answer tokens start..end-1: (tokens up to the last of them, end - start); NaN from a column's own token on."""
    from inseq.data import BatchEmbedding, BatchEncoding, DecoderOnlyBatch

    prompt = len(reading.prompt)
    ids = torch.tensor([[*reading.prompt, *reading.answer[:end]]], device=wrapped.model.device)
    embeddings = wrapped.embed(ids).detach()
    names = [wrapped.tokenizer.convert_ids_to_tokens(ids[0].tolist())]
    encoding = BatchEncoding(ids, torch.ones_like(ids), names, torch.full_like(ids, wrapped.tokenizer.pad_token_id or 0))
    torch.manual_seed(0)
    np.random.seed(0)
    found = wrapped.attribution_method.attribute(
        DecoderOnlyBatch(encoding, BatchEmbedding(embeddings, torch.zeros_like(embeddings))),
        attributed_fn=_aim(reading, start, target) if METHODS[method].targets else wrapped.get_attributed_fn("probability"),
        attr_pos_start=prompt + start,
        attr_pos_end=prompt + end,
        show_progress=False,
        pretty_progress=False,
        attribution_args=_amounts(method, embeddings),  # always given: Inseq remembers its default from model to model
    )
    raw = found.sequence_attributions[0].target_attributions.float()
    if method in AT_ONCE:
        raw = raw.flatten(2).mean(-1)
    elif method == "lime":
        raw = (raw * embeddings[0, :, None].float().cpu()).sum(-1).abs()  # coefficient times feature: what the token adds
    elif method == "occlusion":
        raw = raw.abs()
    else:
        raw = raw.norm(dim=-1)
    return cast("np.ndarray", raw.detach().cpu().numpy())


def _aim(reading: Reading, place: int, target: Target) -> Callable[..., torch.Tensor]:
    """The number that is explained, for one answer token, of each text in a batch."""

    def value(step: Any) -> torch.Tensor:
        logits = step.forward_output.logits[:, -1].float()
        token = reading.answer[place]
        if target == "probability":
            return cast("torch.Tensor", logits.softmax(-1)[:, token])
        if target == "log_probability":
            return cast("torch.Tensor", logits.log_softmax(-1)[:, token])
        return cast("torch.Tensor", logits[:, token] - (logits[:, reading.instead[place]] if target == "contrast" else 0))

    return value


def _amounts(method: str, embeddings: torch.Tensor) -> dict[str, Any]:
    length, width = embeddings.shape[1:]
    known: dict[str, dict[str, Any]] = {
        "occlusion": {"sliding_window_shapes": (1, width), "perturbations_per_eval": BATCH},
        "lime": {"n_samples": max(50, 3 * length), "perturbations_per_eval": BATCH},
        "gradient_shap": {"n_samples": STEPS},
        "sequential_integrated_gradients": {"n_steps": STEPS},
        "discretized_integrated_gradients": {"n_steps": STEPS},
    }
    return known.get(method, {})


def _hide(texts: tuple[torch.Tensor, ...], **_: Any) -> tuple[torch.Tensor, ...]:
    """Random tokens with zero embeddings; Inseq's own would fill in the number of the unknown token, as if it were an embedding."""
    return tuple(text * (torch.rand(text.shape[:2], device=text.device) >= HIDDEN)[..., None] for text in texts)


def _blocks(model: PreTrainedModel) -> torch.nn.ModuleList:
    found = next((module for module in model.modules() if isinstance(module, torch.nn.ModuleList)), None)
    if found is None:
        raise ValueError("its layers are not one list")
    return found


def _mend(wrapped: Any, model: PreTrainedModel) -> None:
    """Value zeroing for layers that return one tensor and name their values otherwise than Inseq's table, as transformers 5 has them."""
    from inseq.models import ModelConfig

    block = _blocks(model)[0]
    name = next((name for name in ("attention", "attn", "self_attn", "self_attention") if hasattr(block, name)), None)
    if name is None:
        raise ValueError("its layers have no attention by a known name")
    source = inspect.getsource(type(getattr(block, name)).forward)
    value = next((variable for variable in ("value_states", "value_layer") if variable in source), "value")
    wrapped.config = ModelConfig(self_attention_module=name, value_vector=value)
    zeroing = wrapped.attribution_method.method
    original = zeroing.get_states_extract_and_patch_hook

    def either(block_idx: int, hidden_state_idx: int = 0) -> Callable[..., Any]:
        patch = original(block_idx, hidden_state_idx)
        return lambda module, args, output: patch(module, args, output) if isinstance(output, tuple) else patch(module, args, (output,))[0]

    zeroing.get_states_extract_and_patch_hook = either
