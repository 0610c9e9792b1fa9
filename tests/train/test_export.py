"""What leaves this computer with an adapter."""

import io
import zipfile

import pytest
import yaml

from detox_core.errors import BadInput, ModelError
from detox_core.train.export import card, push, zipped
from detox_core.train.progress import ADAPTER, METRICS, PROBED, WARNED, append_line

SPEC = {"kind": "train", "name": "Mild", "method": "rloo", "base": "it", "data": "counter-narratives", "steps": 4}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ADAPTER).mkdir()
    (tmp_path / ADAPTER / "adapter_model.safetensors").write_bytes(b"weights")
    append_line(tmp_path / METRICS, {"step": 4, "reward": 1.25})
    append_line(tmp_path / WARNED, {"step": 3, "warnings": {"KL too large": "The KL is 2."}})
    for step, reply in ((0, "No | way."), (4, "Yes.")):
        append_line(tmp_path / PROBED, {"step": step, "probes": [{"prompt": "Hi", "reply": reply, "toxicity": 0.5 if step == 0 else None}]})
    return tmp_path


def test_the_card_says_how_to_train_it_again_and_how_it_went(folder):
    text = card(folder, SPEC)
    head = yaml.safe_load(text.split("---")[1])
    assert head["base_model"] == "it"
    assert head["library_name"] == "peft"
    again = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    assert again == {"name": "Mild", "method": "rloo", "base": "it", "data": "counter-narratives", "steps": 4}
    assert "- reward: 1.25" in text
    assert "- warning at step 3: The KL is 2." in text
    assert "| Hi | No \\| way. (0.50) | Yes. (not scored) |" in text


def test_the_zip_holds_adapter_card_and_spec(folder):
    with zipfile.ZipFile(io.BytesIO(zipped(folder, SPEC))) as archive:
        assert sorted(archive.namelist()) == ["README.md", "adapter_model.safetensors", "spec.yaml"]
        assert archive.read("README.md").decode() == card(folder, SPEC)


def test_the_hub_gets_the_adapter_and_its_card_privately(folder, monkeypatch):
    import huggingface_hub

    calls = []

    class Api:
        def __init__(self, token):
            calls.append(("token", token))

        def create_repo(self, name, private, exist_ok):
            calls.append(("create", name, private))
            return f"https://huggingface.co/{name}"

        def upload_folder(self, repo_id, folder_path):
            calls.append(("folder", sorted(path.name for path in folder_path.iterdir())))

        def upload_file(self, repo_id, path_or_fileobj, path_in_repo):
            calls.append(("file", path_in_repo))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert push(folder, SPEC, "ada/mild", "secret") == "https://huggingface.co/ada/mild"
    expected = [("create", "ada/mild", True), ("folder", ["adapter_model.safetensors"]), ("file", "README.md"), ("file", "spec.yaml")]
    assert calls == [("token", "secret"), *expected]


def test_no_network_is_a_sentence(folder):
    with pytest.raises(ModelError, match="The Hub did not take it"):
        push(folder, SPEC, "ada/mild", "secret")


@pytest.mark.parametrize("name", ["mild", "a/b/c", "ada/mild at heart"])
def test_a_name_that_cannot_be_is_refused(folder, name):
    with pytest.raises(BadInput, match="repository"):
        push(folder, SPEC, name, "secret")
