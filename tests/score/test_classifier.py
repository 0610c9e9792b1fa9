"""Facts about scores by sequence classifiers: tiny random ones on disk."""

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from detox_core.errors import ScorerError
from detox_core.score import classifier as module
from detox_core.score.classifier import Classifier, classifier
from detox_core.score.unscorable import unscorable

HATE = {0: "nothate", 1: "hate"}
JIGSAW = {0: "toxic", 1: "severe_toxic", 2: "obscene", 3: "threat", 4: "insult", 5: "identity_hate"}
TEXTS = ["You idiot!", "Hi", "A rather long sentence about nothing in particular, with commas.", "zz top", "The end is near", "Why?"]
UNSCORABLE = ["", " \n", "12345 67", "Ты дурак", "أنت غبي", "😀🔥"]


def byte_tokenizer() -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocab = {token: index for index, token in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def save(
    folder: Path,
    labels: dict[int, str],
    problem_type: str | None = None,
    family: str = "roberta",
    logits: list[float] | None = None,
    seed: int = 0,
) -> str:
    """A tiny random classifier on disk.

    Args:
        logits: what it answers to every text; None = random, different for each text.
    """
    torch.manual_seed(seed)
    config_class, model_class = {
        "roberta": (RobertaConfig, RobertaForSequenceClassification),
        "bert": (BertConfig, BertForSequenceClassification),
    }[family]
    config = config_class(
        vocab_size=260,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=300,
        initializer_range=0.5,
        pad_token_id=1,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
        problem_type=problem_type,
    )
    model = model_class(config)
    if logits is not None:
        head = model.classifier.out_proj if family == "roberta" else model.classifier
        torch.nn.init.zeros_(head.weight)
        head.bias.data = torch.tensor(logits)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return str(folder)


def count_rows(scorer: Classifier) -> list[int]:
    rows: list[int] = []
    scorer.model.register_forward_pre_hook(lambda _, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True)
    return rows


@pytest.fixture(scope="module")
def hate_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("hate"), HATE)


@pytest.fixture
def hate(hate_folder: str) -> Classifier:
    return classifier(hate_folder)


@pytest.mark.parametrize("family", ["roberta", "bert"])
@pytest.mark.parametrize(
    ("labels", "problem_type", "logits", "expected"),
    [
        pytest.param(HATE, None, [0.0, 2.0], 0.8808, id="hate-second"),
        pytest.param({0: "hate", 1: "nothate"}, None, [0.0, 2.0], 0.1192, id="hate-first"),
        pytest.param({0: "neutral", 1: "toxic"}, None, [1.0, 0.0], 0.2689, id="toxic-second"),
        pytest.param(JIGSAW, "multi_label_classification", [2.0, -1.0, 9.0, 0.0, 0.0, 0.0], 0.8808, id="toxic-first-of-six"),
        pytest.param({0: "insult", 1: "TOXICITY"}, "multi_label_classification", [9.0, -1.0], 0.2689, id="toxicity-second-sigmoid"),
        pytest.param({0: "hate", 1: "offensive", 2: "neither"}, "single_label_classification", [0.0, 0.0, 0.0], 0.3333, id="three-softmax"),
        pytest.param({0: "toxicity"}, None, [2.0], 0.8808, id="only-output"),
    ],
)
def test_toxic_output_is_read_from_id2label(tmp_path, family, labels, problem_type, logits, expected):
    scorer = classifier(save(tmp_path, labels, problem_type, family, logits))
    assert scorer.score(["You idiot!"])[0].value == pytest.approx(expected, abs=1e-4)


def test_multi_label_model_gives_its_other_outputs_as_attributes(tmp_path):
    scorer = classifier(save(tmp_path, JIGSAW, "multi_label_classification", "bert", [2.0, -1.0, 0.0, 1.0, 0.0, 0.0]))
    attributes = scorer.score(["You idiot!"])[0].attributes
    assert set(attributes) == set(JIGSAW.values()) - {"toxic"}
    assert attributes["severe_toxic"] == pytest.approx(0.2689, abs=1e-4)
    assert attributes["threat"] == pytest.approx(0.7311, abs=1e-4)


def test_single_label_model_has_no_attributes(hate):
    assert hate.score(["You idiot!"])[0].attributes == {}


def test_generic_labels_are_refused(tmp_path):
    with pytest.raises(ScorerError, match="LABEL_0 and LABEL_1.*Name them in id2label"):
        classifier(save(tmp_path, {0: "LABEL_0", 1: "LABEL_1"}))


def test_labels_without_a_toxic_one_are_refused_by_name(tmp_path):
    with pytest.raises(ScorerError, match=r"\(joy, anger\) means toxic\. Known: toxicity, toxic, hate"):
        classifier(save(tmp_path, {0: "joy", 1: "anger"}))


def test_batches_score_as_one_by_one_in_order(hate, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 3)
    together = [score.value for score in hate.score(TEXTS)]
    alone = [hate.score([text])[0].value for text in TEXTS]
    assert together == pytest.approx(alone, abs=1e-5)
    assert max(alone) - min(alone) > 1e-3


@pytest.mark.parametrize("text", UNSCORABLE)
def test_unscored_text_is_nan_with_reason(hate, text):
    score = hate.score([text])[0]
    assert not score.scored
    assert score.reason


def test_unscored_texts_cost_no_forward_row(hate):
    rows = count_rows(hate)
    scores = hate.score([UNSCORABLE[0], TEXTS[0], *UNSCORABLE[1:], TEXTS[1]])
    assert sum(rows) == 2
    assert [score.scored for score in scores] == [False, True, *[False] * 5, True]


def test_nothing_to_score_costs_no_forward(hate):
    rows = count_rows(hate)
    assert hate.score([]) == []
    assert len(hate.score(UNSCORABLE)) == len(UNSCORABLE)
    assert rows == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("42 !?", "no letters"),
        ("hi, Ты", "mostly not in Latin script"),
        ("Ты и я, ok", "mostly not in Latin script"),
        ("naïve café 😀", None),
    ],
)
def test_reason_names_what_is_wrong(text, reason):
    assert unscorable(text) == reason


def test_long_text_is_judged_by_its_first_256_tokens(hate):
    start = "abcdefgh " * 40
    one, other = hate.score([start + "love", start + "hate " * 50])
    assert one.value == pytest.approx(other.value, abs=1e-5)


def test_every_score_carries_id_and_revision(hate, hate_folder):
    for score in hate.score([TEXTS[0], ""]):
        assert score.scorer == hate_folder
        assert score.revision == hate.revision
        assert len(score.revision) == 12


def test_revision_changes_with_the_weights(hate, hate_folder, tmp_path):
    copied = shutil.copytree(hate_folder, tmp_path / "copied")
    other = save(tmp_path / "other", HATE, seed=1)
    assert classifier(str(copied)).revision == hate.revision
    assert classifier(other).revision != hate.revision


def test_pickle_weights_are_refused_unopened(hate_folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "opened",)

    folder = shutil.copytree(hate_folder, tmp_path / "pickle")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ScorerError, match="no safetensors weights; pickle weights can run code"):
        classifier(str(folder))
    assert not (tmp_path / "opened").exists()


def test_missing_folder_is_refused_by_name(tmp_path):
    with pytest.raises(ScorerError, match="There is no folder .*nowhere"):
        classifier(str(tmp_path / "nowhere"))


def test_hub_id_not_on_disk_is_refused_offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ScorerError, match="neither a folder nor downloaded yet, and the app is offline"):
        classifier("nobody-here/no-such-classifier")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_damaged_file_is_a_scorer_error(hate_folder, tmp_path, name):
    folder = shutil.copytree(hate_folder, tmp_path / "damaged")
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(ScorerError, match="could not be loaded"):
        classifier(str(folder))
