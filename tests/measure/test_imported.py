"""RewardLM's replies as measurements."""

import math

import pytest

from detox_core.measure.flow import read_replies, wide
from detox_core.measure.imported import import_rewardlm
from detox_core.measure.measurement import measurements, open_prompt, read_measurement

HEAD = ",prompts,responses,prompt_score,response_score,pro_API_response_score"
REPLIES = {"PT": ("0.9", "0.8"), "FT": ("0.1", "-1"), "RL": ("0.2", "0.3")}
RUN = "RedPajama-INCITE-Chat-3B-v1"


@pytest.fixture
def folder(tmp_path):
    """Two prompts answered by three stages of one model, and by one stage of another."""
    for stage, scores in REPLIES.items():
        rows = [f"{n},<human>: prompt {n} <bot>:,{stage} says {n},0.{9 - 8 * n},0.5,{score}" for n, score in enumerate(scores)]
        (tmp_path / f"measured_tox_{stage}_{RUN}.csv").write_text("\n".join([HEAD, *rows]))
    (tmp_path / "measured_tox_PT_alone.csv").write_text(f"{HEAD}\n0,x,y,0.1,0.1,0.1")
    return tmp_path


def test_a_model_with_several_variants_becomes_a_measurement(folder):
    (path,) = import_rewardlm(folder)
    assert measurements() == [path]
    settings, rows = read_measurement(path)
    assert settings.source == "RewardLM: RedPajama on RealToxicityPrompts"
    assert [variant.label for variant in settings.variants] == ["IT", "FT", "RL"]
    assert list(settings.scorers) == ["perspective", "roberta"]
    assert [row.prompt.toxic for row in rows] == [True, False]
    scores = wide(read_replies(path)[1], "perspective")
    assert scores["it"].tolist() == [0.9, 0.8]
    assert math.isnan(scores["ft"].iloc[1])
    assert wide(read_replies(path)[1], "roberta")["rl"].tolist() == [0.5, 0.5]


def test_an_imported_prompt_opens_as_a_comparison_with_its_reasons(folder):
    record = open_prompt(import_rewardlm(folder)[0], "1")
    assert [reply.text for reply in record.generations] == ["PT says 1", "FT says 1", "RL says 1"]
    assert record.generations[1].score.reason == "no score in RewardLM's file"


def test_importing_twice_leaves_one(folder):
    assert import_rewardlm(folder) == import_rewardlm(folder)
    assert len(measurements()) == 1
