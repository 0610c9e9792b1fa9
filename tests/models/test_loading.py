"""Loading bases and adapters, and every refusal with its way out."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers.processors import TemplateProcessing

from detox_core.errors import BadInput, DetoxError, ModelError
from detox_core.models.loading import LoadedBase, choose, load_base, quantized
from detox_core.models.mixing import PLAIN
from detox_core.types import Variant


@pytest.fixture
def copy(tmp_path):
    """A copy of a model or adapter that a test may damage."""

    def make(source: str) -> Path:
        return Path(shutil.copytree(source, tmp_path / "copy"))

    return make


@pytest.fixture
def base(family) -> LoadedBase:
    return load_base(family[0].base)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def logits(base: LoadedBase, text: str = "Hello you") -> torch.Tensor:
    with torch.inference_mode():
        return base.model(**base.tokenizer(text, return_tensors="pt", return_token_type_ids=False)).logits


def test_each_architecture_loads(each_family):
    base = load_base(each_family[0].base)
    assert base.context == (640 if "falcon" in base.name else 160)
    assert not base.model.training
    assert base.tokenizer.padding_side == "left"
    assert base.tokenizer.pad_token_id is not None
    assert base.bytes >= sum(p.numel() for p in base.model.parameters()) * 4
    assert torch.isfinite(logits(base)).all()


def test_each_architecture_takes_adapters(each_family):
    base = load_base(each_family[0].base)
    plain = logits(base)
    names = [base.attach(variant.adapter) for variant in each_family]
    assert names[0] == PLAIN
    assert len(set(names)) == 3
    answers = []
    for name in names[1:]:
        base.model.set_adapter(name)
        answers.append(logits(base))
    assert not torch.allclose(answers[0], answers[1], atol=1e-2)
    assert not torch.allclose(answers[0], plain, atol=1e-2)
    with base.model.disable_adapter():
        assert torch.allclose(logits(base), plain)


def test_an_adapter_is_attached_once(base, family):
    assert base.attach(family[1].adapter) == base.attach(family[1].adapter)
    assert len(base.adapters) == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtype_as_asked(family, dtype):
    base = load_base(family[0].base, dtype)
    assert next(base.model.parameters()).dtype == getattr(torch, dtype)
    assert f"{dtype} (as asked)" in base.choice


def test_small_models_are_exact_and_large_ones_are_halved_on_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose("auto", 2**30)[:2] == ("cpu", torch.float32)
    assert choose("auto", 2**32)[:2] == ("cpu", torch.bfloat16)


def test_render_follows_the_named_template_then_the_tokenizer(base):
    assert base.render("Hi", "redpajama") == "<human>: Hi\n<bot>:"
    assert base.next_turn("redpajama") == "\n<human>"
    assert base.render("Hi", None) == "Hi"
    assert base.next_turn(None) is None
    base.tokenizer.chat_template = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}"
    assert base.render("Hi", None) == "[Hi]"


def test_unknown_template(base):
    with pytest.raises(BadInput, match=r"'nope'.*Known: redpajama"):
        base.render("Hi", "nope")


def test_unknown_dtype(family):
    with pytest.raises(ModelError, match=r"'int3'.*Use auto, float32, bfloat16, float16"):
        load_base(family[0].base, "int3")


def test_unknown_quantization():
    with pytest.raises(ModelError, match=r"'2bit'.*Use 8bit or 4bit"):
        quantized("2bit", "cpu")


@pytest.mark.parametrize("source", ["/no/such/folder", "./nothing", "nothing", "a/b/c"])
def test_neither_folder_nor_hub_id(source):
    with pytest.raises(ModelError, match=f"no folder '{source}'.*Hub id such as"):
        load_base(source)


def test_hub_id_that_is_not_on_disk_while_offline():
    with pytest.raises(ModelError, match=r"'nobody/nothing' is neither a folder nor downloaded yet.*offline"):
        load_base("nobody/nothing")


@pytest.mark.parametrize("source", ["my models/x", "a--b/c"])
def test_name_that_can_be_neither_folder_nor_hub_id(source):
    with pytest.raises(ModelError, match=f"no folder '{source}'"):
        load_base(source)


def test_begin_token_is_added_only_where_the_tokenizer_adds_it(base):
    assert base.render("Hi", "plain") == "Hi"
    begin = base.tokenizer.bos_token
    base.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, base.tokenizer.bos_token_id)]
    )
    assert base.render("Hi", "plain") == f"{begin}Hi"
    assert base.render("Hi", "falcon").startswith(f"{begin}### Question")


def test_folder_without_config(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_base(str(tmp_path))


def test_adapter_given_as_a_base(family):
    with pytest.raises(ModelError, match="LoRA adapter: give it as an adapter of its base"):
        load_base(family[1].adapter)


def test_damaged_config(family, copy):
    folder = copy(family[0].base)
    truncate(folder / "config.json")
    with pytest.raises(ModelError, match=r"config\.json is not valid JSON.*Download the model again"):
        load_base(str(folder))


def test_truncated_base_weights(family, copy):
    folder = copy(family[0].base)
    truncate(folder / "model.safetensors")
    with pytest.raises(ModelError, match=f"{folder} could not be loaded.*files are complete"):
        load_base(str(folder))


def test_damaged_tokenizer(family, copy):
    folder = copy(family[0].base)
    truncate(folder / "tokenizer.json")
    with pytest.raises(ModelError, match=f"{folder} could not be loaded"):
        load_base(str(folder))


def test_no_weights(family, copy):
    folder = copy(family[0].base)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no \.safetensors weights"):
        load_base(str(folder))


def test_missing_weights_are_not_filled_with_random_ones(family, copy):
    folder = copy(family[0].base)
    weights = load_file(folder / "model.safetensors")
    del weights["gpt_neox.layers.1.mlp.dense_h_to_4h.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 of its weights.*layers\.1\.mlp\.dense_h_to_4h\.weight"):
        load_base(str(folder))


def test_pickle_weights_are_never_opened(family, copy):
    folder = copy(family[0].base)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickle weights \(pytorch_model\.bin\).*Convert it to safetensors"):
        load_base(str(folder))


def test_pickle_weights_beside_an_unrelated_safetensors_file_are_never_opened(family, copy):
    folder = copy(family[0].base)
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    torch.save(load_base(family[0].base).model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=f"{folder} could not be loaded"):
        load_base(str(folder))


def test_code_of_its_own_is_never_run(family, copy):
    folder = copy(family[0].base)
    edit(folder / "config.json", model_type="strange", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"})
    ran = folder / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')")
    with pytest.raises(ModelError, match=r"own modelling code, which is never run.*transformers supports"):
        load_base(str(folder))
    assert not ran.exists()


def test_own_tokenizer_code_is_never_run(family, copy):
    folder = copy(family[0].base)
    ran = folder / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')")
    edit(folder / "tokenizer_config.json", tokenizer_class="Own", auto_map={"AutoTokenizer": ["own.Own", "own.Own"]})
    with suppress(DetoxError):
        load_base(str(folder))
    assert not ran.exists()


def test_unknown_architecture_without_code(family, copy):
    folder = copy(family[0].base)
    edit(folder / "config.json", model_type="strange", architectures=["Strange"])
    with pytest.raises(ModelError, match=f"{folder} could not be loaded"):
        load_base(str(folder))


def test_missing_adapter_folder(base):
    with pytest.raises(ModelError, match="no folder '/no/such/adapter'"):
        base.attach("/no/such/adapter")


def test_folder_that_is_no_adapter(base, tmp_path):
    with pytest.raises(ModelError, match=r"no adapter_config\.json, so it is not a LoRA adapter"):
        base.attach(str(tmp_path))


def test_adapter_without_weights(base, family, copy):
    folder = copy(family[1].adapter)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"no adapter_model\.safetensors.*pickle.*can run code"):
        base.attach(str(folder))


@pytest.mark.parametrize("attached_before", [False, True])
def test_truncated_adapter_weights(base, family, copy, attached_before):
    if attached_before:
        base.attach(family[2].adapter)
    folder = copy(family[1].adapter)
    truncate(folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=f"{folder}.*is damaged.*Download or train the adapter again"):
        base.attach(str(folder))


def truncated_config(folder: Path) -> None:
    truncate(folder / "adapter_config.json")


def unknown_peft_type(folder: Path) -> None:
    edit(folder / "adapter_config.json", peft_type="STRANGE")


def other_rank(folder: Path) -> None:
    edit(folder / "adapter_config.json", r=2)


def unknown_targets(folder: Path) -> None:
    edit(folder / "adapter_config.json", target_modules=["nothing"])


@pytest.mark.parametrize("attached_before", [False, True])
@pytest.mark.parametrize("damage", [truncated_config, unknown_peft_type, other_rank, unknown_targets])
def test_damaged_adapter_config_leaves_the_base_as_it_was(base, family, copy, damage, attached_before):
    folder = copy(family[1].adapter)
    damage(folder)
    if attached_before:
        base.attach(family[2].adapter)
    before = logits(base)
    with pytest.raises(ModelError, match=f"{folder}"):
        base.attach(str(folder))
    assert str(folder) not in base.adapters
    assert torch.equal(logits(base), before)
    name = base.attach(family[1].adapter)
    base.model.set_adapter(name)
    other = load_base(family[0].base)
    other.attach(family[1].adapter)
    assert torch.allclose(logits(base), logits(other), atol=1e-5)


def test_adapter_that_is_no_lora(base, tmp_path):
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 4, "token_dim": 32})
    )
    save_file({"prompt_embeddings": torch.zeros(4, 32)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"PROMPT_TUNING; only LoRA"):
        base.attach(str(tmp_path))


@pytest.mark.parametrize("attached_before", [False, True])
def test_adapter_of_another_size(base, family, make_base, make_adapter, attached_before):
    if attached_before:
        base.attach(family[1].adapter)
    wide = make_adapter("gpt_neox", make_base("gpt_neox", hidden=64), seed=1)
    with pytest.raises(ModelError, match=rf"{wide} was made for another base.*64.*shape \(32, 96\)"):
        base.attach(wide)


def test_adapter_of_another_architecture(base, families):
    with pytest.raises(ModelError, match=r"made for another base.*no such layer"):
        base.attach(families["llama"][1].adapter)


def test_refused_adapter_leaves_the_base_as_it_was(base, families):
    before = logits(base)
    with pytest.raises(ModelError):
        base.attach(families["gpt2"][1].adapter)
    assert base.adapters == {}
    assert torch.equal(logits(base), before)


def test_full_fine_tuned_checkpoint_is_a_second_base(family, tuned: Variant):
    assert tuned.base_key != family[0].base_key
    assert not torch.allclose(logits(load_base(tuned.base)), logits(load_base(family[0].base)), atol=1e-2)
