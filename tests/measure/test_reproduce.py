"""The published numbers against result files: hand-made ones with known counts, and RewardLM's own where they are at hand."""

import gzip
import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from detox_core.cli import main
from detox_core.errors import BadInput
from detox_core.measure.families import REPRODUCED, families, flows_frame, published
from detox_core.measure.flow import buckets, flows
from detox_core.measure.reproduce import as_text, reproduce
from detox_core.measure.verdicts import (
    agreement_verdict,
    change_verdict,
    compare,
    flow_verdict,
    holm,
    mean_verdict,
    pair_verdict,
    rounded,
    share_verdict,
    wilson,
)
from detox_core.types import nan_to_none

HEADER = ",prompts,responses,prompt_score,response_score,pro_API_response_score"
MODEL = "RedPajama-INCITE-Chat-3B-v1"
NAMES = {"IT": f"measured_tox_PT_{MODEL}", **{stage: f"measured_tox_{stage}_{MODEL}-{stage}-LoRA-8bit-test1" for stage in ("FT", "RL")}}
NAN = math.nan
BOUNDS = {"text": (0.33, 0.66), "code": (0.333, 0.666)}

# Prompt score, then the Perspective score of each variant; "" and -1 = not scored. Ten prompts, four of them toxic.
ROWS = [
    (0.9, 0.9, 0.1, 0.1),
    (0.9, 0.8, 0.2, ""),
    (0.9, 0.7, 0.7, -1),
    (0.9, 0.1, 0.8, 0.2),
    (0.1, 0.6, 0.1, 0.6),
    (0.1, 0.2, -1, 0.2),
    (0.1, 0.3, 0.2, 0.2),
    (0.1, 0.332, 0.2, 0.2),
    (0.1, "", 0.2, 0.2),
    (0.1, 0.2, 0.2, 0.9),
]


def written(folder: Path, variant: str, scores: list, roberta: float = 0.1, line: str = "\n", bom: bool = False, compress: bool = False):
    lines = [HEADER]
    for number, (row, score) in enumerate(zip(ROWS, scores, strict=True)):
        reply = "" if score == -1 else f"reply {number}"
        lines.append(f'{number},"<human>: ""prompt {number}"".\n<bot>: ",{reply},{row[0]},{roberta},{score}')
    data = ("\ufeff" * bom + line.join(lines) + line).encode()
    path = folder / f"{NAMES[variant]}.csv{'.gz' * compress}"
    path.write_bytes(gzip.compress(data) if compress else data)


@pytest.fixture
def folder(tmp_path) -> Path:
    written(tmp_path, "IT", [row[1] for row in ROWS], compress=True)
    written(tmp_path, "FT", [row[2] for row in ROWS], bom=True, line="\r\n")
    written(tmp_path, "RL", [row[3] for row in ROWS], roberta=0.9)
    return tmp_path


def claim_of(claims, *parts: str):
    found = [claim for claim in claims if all(part in f"{claim.source}: {claim.claim}" for part in parts)]
    assert len(found) == 1, [claim.claim for claim in found]
    return found[0]


def test_records_have_one_reply_each_with_scores_by_scorer(folder):
    frame = flows_frame(folder)
    assert list(frame) == ["dataset", "model", "variant", "row", "prompt", "reply", "perspective", "roberta", "prompt_roberta"]
    assert len(frame) == 30
    assert frame.groupby("variant").size().to_dict() == {"IT": 10, "FT": 10, "RL": 10}
    assert set(frame["dataset"]) == {"RealToxicityPrompts"}
    assert set(frame["model"]) == {MODEL}
    assert set(frame["prompt"]) == {f"prompt {number}" for number in range(10)}
    third = frame[(frame["variant"] == "RL") & (frame["row"] == 2)].iloc[0]
    assert (third["reply"], third["roberta"]) == ("", 0.9)
    assert math.isnan(third["perspective"])


def test_cut_prompt_loses_the_end_of_the_template_that_it_has(tmp_path):
    text = HEADER + '\n0,"### Question: ""over-long",fine,0.1,0.1,0.1\n1,"### Question: ""short"".\n### Answer: ",fine,0.1,0.1,0.1\n'
    (tmp_path / "CONAN_measured_tox_PT_falcon-7b-instruct.csv").write_text(text)
    frame = flows_frame(tmp_path)
    assert list(frame["prompt"]) == ["over-long", "short"]
    assert set(frame["dataset"]) == {"CONAN"}


def test_published_way_counts_unscored_as_non_toxic(folder):
    found = claim_of(reproduce(folder), "Table 1", "RedPajama FT, all prompts")
    assert (found.k, found.n, found.ours, found.published) == (2, 10, 0.2, 0.09)
    assert (found.low, found.high) == pytest.approx(wilson(2, 10))
    assert found.verdict == "differs: 0.200"
    assert claim_of(reproduce(folder), "Table 1", "RedPajama IT, toxic prompts").k == 3


def test_paired_test_leaves_unscored_prompts_out(folder):
    claims = reproduce(folder)
    joint = claim_of(claims, "RedPajama FT against IT, all prompts, Perspective", "scored for all")
    # Prompts 0, 3, 4, 6, 7 and 9 are scored three times: 0 and 4 are fixed, 3 is broken.
    assert (joint.n, joint.fixed, joint.broken, joint.p) == (6, 2, 1, 1.0)
    assert joint.ours == pytest.approx(-100 / 6)
    counted = claim_of(claims, "RedPajama FT against IT, all prompts, Perspective", "unscored as non-toxic")
    assert (counted.n, counted.fixed, counted.broken) == (10, 3, 1)
    assert joint.verdict == "vanishes under a paired test (p = 1.00)"


def test_second_scorer_says_otherwise(folder):
    roberta = claim_of(reproduce(folder), "RedPajama RL against IT, all prompts, RoBERTa")
    assert (roberta.fixed, roberta.broken, roberta.ours, roberta.published) == (0, 10, 100, None)
    assert roberta.verdict == "reverses (p = 0.002)"
    disagree = claim_of(reproduce(folder), "two scorers", "RedPajama RL,")
    assert (disagree.k, disagree.n) == (6, 8)


def test_flows_differ_with_the_bounds(folder):
    joint = families(flows_frame(folder))["RealToxicityPrompts", "RedPajama"].scores("all", joint=True)
    # IT of the six prompts: 0.9, 0.1, 0.6, 0.3, 0.332, 0.2; 0.332 is low in the code and medium in the text.
    assert flows(joint, "IT", "FT", BOUNDS["code"]).loc["low", "low"] == 3
    assert flows(joint, "IT", "FT", BOUNDS["text"]).loc["low", "low"] == 2
    found = claim_of(reproduce(folder), "flows of RedPajama", "low of IT to low of FT")
    assert (found.k, found.n, found.verdict) == (3, 6, "not published; 2 with the bounds of the text (0.33, 0.66)")


def test_unscored_is_a_bucket_of_its_own():
    scores = pd.Series([0.333, 0.3329, 0.666, 0.6661, NAN])
    assert list(buckets(scores, BOUNDS["code"])) == ["medium", "low", "medium", "high", "not scored"]


def test_model_without_files_is_said_not_to_be_checkable(folder):
    missing = [claim for claim in reproduce(folder) if claim.claim.startswith("toxic replies of Falcon")]
    assert len(missing) == 12
    assert {claim.verdict for claim in missing} == {"cannot be checked: a result file is missing"}
    assert {claim.ours for claim in missing} == {None}


def test_files_of_one_variant_alone_are_enough(tmp_path):
    written(tmp_path, "FT", [row[2] for row in ROWS])
    claims = reproduce(tmp_path)
    assert claim_of(claims, "Table 1", "RedPajama FT, all prompts").k == 2
    assert claim_of(claims, "Table 1", "RedPajama IT, all prompts").ours is None


def test_coverage_and_empty_replies_are_counted(folder):
    claims = reproduce(folder)
    assert claim_of(claims, "coverage", "RedPajama RL,").verdict == "2 unscored (20.0%), non-toxic in print"
    assert claim_of(claims, "coverage", "RedPajama all variants").k == 6
    assert claim_of(claims, "the replies", "RedPajama RL, empty").k == 1


def test_command_prints_one_document(folder, capsys):
    assert main(["reproduce", "rewardlm", "--dir", str(folder), "--json"]) == 0
    claims = json.loads(capsys.readouterr().out)["claims"]
    assert {"source", "claim", "published", "ours", "k", "n", "low", "high", "verdict"} <= set(claims[0])
    assert all(claim["verdict"] for claim in claims)
    assert main(["reproduce", "rewardlm", "--dir", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "Scalena et al. 2023, Table 1" in text
    assert all(claim["claim"] in text for claim in claims)


def test_empty_folder_is_one_line(tmp_path, capsys):
    assert main(["reproduce", "rewardlm", "--dir", str(tmp_path)]) == 2
    assert "holds no result file" in capsys.readouterr().err


def test_two_files_of_one_run_are_refused(folder):
    written(folder, "IT", [row[1] for row in ROWS])
    with pytest.raises(BadInput, match="two files of one run"):
        flows_frame(folder)


def test_other_prompts_are_refused(folder):
    path = folder / f"{NAMES['RL']}.csv"
    path.write_text(path.read_text().replace("prompt 3", "another prompt"))
    with pytest.raises(BadInput, match="do not answer the same prompts"):
        flows_frame(folder)


def test_text_for_a_score_is_refused_by_name(folder):
    path = folder / f"{NAMES['RL']}.csv"
    path.write_text(path.read_text().replace("0.9\n", "often\n"))
    with pytest.raises(BadInput, match="'often' for a score in row 9"):
        flows_frame(folder)


def test_files_named_otherwise_are_refused(tmp_path):
    (tmp_path / "old_measured_tox.csv").write_text(HEADER + "\n0,a,b,0.1,0.1,0.1\n")
    with pytest.raises(BadInput, match="is named like"):
        flows_frame(tmp_path)


def test_pair_is_counted_by_hand():
    pair = compare(np.array([0.9, 0.9, 0.9, 0.1, 0.5]), np.array([0.1, 0.1, 0.9, 0.9, NAN]))
    assert (pair.n, pair.before, pair.after, pair.fixed, pair.broken) == (5, 3, 2, 2, 1)
    assert (pair.points, pair.percent) == pytest.approx((-20, -100 / 3))
    assert pair.p == 1.0
    nothing = compare(np.array([]), np.array([]))
    assert nothing.n == 0
    assert math.isnan(nothing.points)


def test_bootstrap_range_is_that_of_a_normal_approximation():
    before, after = np.repeat([0.9, 0.9, 0.1, 0.1], [100, 300, 200, 1400]), np.repeat([0.9, 0.1, 0.9, 0.1], [100, 300, 200, 1400])
    pair = compare(before, after)
    half = 1.96 * 100 * math.sqrt((0.25 - 0.05**2) / 2000)
    assert pair.points_range == pytest.approx((-5 - half, -5 + half), abs=0.15)
    assert pair.percent_range[0] < pair.percent == -25 < pair.percent_range[1]


def test_wilson_and_holm():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert all(math.isnan(end) for end in wilson(0, 0))
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_rounding_is_half_up():
    assert (rounded(0.125, 2), rounded(0.12485, 2), rounded(0.12485, 3)) == (0.13, 0.12, 0.125)


@pytest.mark.parametrize(
    ("printed", "digits", "counted", "joint", "said"),
    [
        (0.13, 2, (130, 1000), (130, 1000), "equal"),
        (0.130, 3, (130, 1000), (128, 950), "equal; 0.1347 where all variants are scored"),
        (
            0.10,
            2,
            (100, 1000),
            (98, 700),
            "holds only if unscored replies count as non-toxic: 0.140 [0.116, 0.168] where all variants are scored",
        ),
        (0.20, 2, (130, 1000), (130, 1000), "differs: 0.130"),
        (0.13, 2, (106, 849), (106, 849), "differs: 0.1249; as printed only when rounded twice"),
        (0.13, 2, (0, 0), (0, 0), "cannot be checked: nothing is scored"),
    ],
)
def test_verdict_on_a_share(printed, digits, counted, joint, said):
    assert share_verdict(printed, digits, counted, joint) == said


def pair_of(fixed: int, broken: int, both: int = 100, neither: int = 1000):
    counts = [both, fixed, broken, neither]
    return compare(np.repeat([0.9, 0.9, 0.1, 0.1], counts), np.repeat([0.9, 0.1, 0.9, 0.1], counts))


def test_verdict_on_a_change():
    clear, unclear = pair_of(100, 40), pair_of(22, 20)
    assert change_verdict(-30, 0.5, clear, clear) == "equal"
    assert change_verdict(-25, 0.5, clear, clear, from_table=-25) == "differs: -30.0 %; -25 % follows from the rounded table"
    assert change_verdict(-25, 0.5, clear, clear) == "differs: -30.0 %"
    assert change_verdict(-30, 0.5, clear, pair_of(50, 40)).startswith("holds only if unscored replies count as non-toxic: -6.7 %")
    assert change_verdict(-2, 2, unclear, unclear) == "equal; vanishes under a paired test (p = 0.88)"


def test_verdict_on_a_pair():
    clear, unclear, weak = pair_of(100, 40), pair_of(22, 20), pair_of(30, 15)
    assert pair_verdict(-1, clear) == "holds (p < 0.001)"
    assert pair_verdict(1, clear) == "reverses (p < 0.001)"
    assert pair_verdict(NAN, clear) == "less toxic (p < 0.001)"
    assert pair_verdict(NAN, unclear) == "no difference (p = 0.88)"
    assert pair_verdict(-1, unclear) == "vanishes under a paired test (p = 0.88)"
    assert pair_verdict(-1, weak, 0.21, 6) == "holds weakly (p = 0.036; p = 0.21 corrected for 6 tests)"
    assert pair_verdict(-1, unclear, other=clear) == "holds only if unscored replies count as non-toxic (p < 0.001, else p = 0.88)"
    assert pair_verdict(-1, clear, other=unclear) == "holds (p < 0.001); hidden when unscored replies count as non-toxic (p = 0.88)"


def test_verdict_on_a_flow():
    assert flow_verdict(5, 5, 5, BOUNDS) == "equal"
    assert (
        flow_verdict(5, 5, 6, BOUNDS) == "holds only with the bounds of the code (0.333, 0.666): 6 with the bounds of the text (0.33, 0.66)"
    )
    assert flow_verdict(6, 5, 6, BOUNDS) == "holds only with the bounds of the text: 5 with those of the code"
    assert flow_verdict(7, 5, 6, BOUNDS) == "differs: 5"
    assert flow_verdict(None, 5, 5, BOUNDS) == "not published"


def test_verdict_on_a_mean():
    assert [mean_verdict(-1, *ends) for ends in ((-3, -1), (1, 3), (-1, 1))] == [
        "holds on the mean",
        "reverses on the mean",
        "vanishes on the mean",
    ]
    assert mean_verdict(0, -3, -1) == "lower on the mean"


def test_verdict_on_two_scorers():
    # Both say toxic once, neither twice, they differ once: observed 3/4, by chance 1/2.
    assert (
        agreement_verdict(np.array([0.9, 0.9, 0.1, 0.1]), np.array([0.9, 0.1, 0.1, 0.1]), 0.5) == "moderate agreement (kappa 0.50, r 0.50)"
    )


def test_printed_numbers_are_complete():
    numbers = published()
    for table in (*numbers["shares"], *numbers["changes"]):
        assert set(table["values"]) == set(numbers["models"])
        assert all(set(splits) == {"all", "toxic"} for splits in table["values"].values())


SHARED = next((path for parent in Path(__file__).parents if (path := parent / "shared" / "data" / "rewardlm").is_dir()), None)
needs_files = pytest.mark.skipif(SHARED is None, reason="no copies of RewardLM's files here")


@pytest.fixture(scope="module")
def real():
    return reproduce(SHARED)


@pytest.mark.shared_data
@needs_files
def test_counts_of_table_1(real):
    counts = {
        claim.claim.removeprefix("toxic replies of "): (claim.k, claim.n)
        for claim in real
        if claim.source == "Scalena et al. 2023, Table 1"
    }
    expected = {
        ("RedPajama", "all"): (5549, 721, 512, 550),
        ("RedPajama", "toxic"): (1385, 300, 179, 221),
        ("Falcon", "all"): (5549, 529, 432, 455),
        ("Falcon", "toxic"): (849, 119, 91, 106),
    }
    assert counts == {
        f"{model} {variant}, {split} prompts": (k, n)
        for (model, split), (n, *toxic) in expected.items()
        for variant, k in zip(("IT", "FT", "RL"), toxic, strict=True)
    }


@pytest.mark.shared_data
@needs_files
@pytest.mark.parametrize(
    ("model", "to", "counts"),
    [
        ("RedPajama", "FT", (2231, 699, 64, 915, 396, 59, 157, 37, 8)),
        ("RedPajama", "RL", (2275, 672, 47, 738, 567, 65, 103, 62, 37)),
        ("Falcon", "FT", (3205, 993, 59, 750, 343, 26, 112, 47, 7)),
        ("Falcon", "RL", (3437, 731, 89, 755, 330, 34, 95, 52, 19)),
    ],
)
def test_flows_between_buckets(real, model, to, counts):
    mine = [
        claim.k for claim in real if f"flows of {model}" in claim.source and claim.claim.endswith(f" of {to}") and " to " in claim.claim
    ]
    assert tuple(mine) == counts


@pytest.mark.shared_data
@needs_files
def test_sums_of_the_flows_and_printed_flows(real):
    sums = {
        (model, variant): tuple(
            claim.k
            for claim in real
            if f"flows of {model}" in claim.source and claim.claim in [f"{variant} {b}" for b in ("low", "medium", "high")]
        )
        for model in ("RedPajama", "Falcon")
        for variant in ("IT", "FT", "RL")
    }
    assert list(sums.values()) == [
        (2994, 1370, 202),
        (3303, 1132, 131),
        (3116, 1301, 149),
        (4257, 1119, 166),
        (4067, 1383, 92),
        (4287, 1113, 142),
    ]
    printed = [claim for claim in real if claim.source.startswith("RewardLM, ")]
    assert len(printed) == 18
    assert all(claim.ours == claim.published for claim in printed)
    high = claim_of(real, "flows of RedPajama", "newly high replies of FT")
    assert (high.k, high.n) == (64, 123)


@pytest.mark.shared_data
@needs_files
def test_scored_replies_and_paired_counts(real):
    scored = {claim.claim.split(",")[0]: claim.k for claim in real if claim.source.endswith("coverage") and "CONAN" not in claim.claim}
    assert list(scored.values()) == [5260, 5393, 4880, 4566, 5547, 5548, 5544, 5542]
    for said, fixed, broken in (
        ("RedPajama FT against IT", 621, 412),
        ("RedPajama RL against IT", 537, 366),
        ("Falcon FT against IT", 468, 371),
        ("Falcon RL against IT", 441, 367),
    ):
        found = claim_of(real, f"{said}, all prompts, Perspective, points, unscored as non-toxic")
        assert (found.fixed, found.broken) == (fixed, broken)


@pytest.mark.shared_data
@needs_files
def test_shares_means_and_texts_of_the_re_analysis(real):
    def toxic(said: str) -> tuple[float, float]:
        found = claim_of(real, f"toxic replies: {said}")
        return round(found.ours, 3), float(found.verdict.rpartition(" ")[2])

    names = [f"{model} {variant}" for model in ("RedPajama", "Falcon") for variant in ("IT", "FT", "RL")]
    own = [
        claim.ours for claim in real if claim.source.endswith("toxic replies") and claim.claim in [f"{name}, Perspective" for name in names]
    ]
    assert own == pytest.approx([0.137, 0.095, 0.113, 0.095, 0.078, 0.082], abs=5e-4)
    joint = [claim_of(real, f"toxic replies: {name}, Perspective, scored for all") for name in names]
    assert [claim.ours for claim in joint] == pytest.approx([0.1325, 0.0926, 0.1139, 0.0955, 0.0780, 0.0821], abs=5e-5)
    assert [float(claim.verdict.rpartition(" ")[2]) for claim in joint] == [0.261, 0.239, 0.241, 0.194, 0.227, 0.193]
    assert [toxic(f"{name}, RoBERTa") for name in names] == [
        (0.031, 0.047),
        (0.061, 0.079),
        (0.032, 0.047),
        (0.025, 0.050),
        (0.107, 0.132),
        (0.020, 0.041),
    ]
    words = [claim_of(real, f"the replies: {name}, words").ours for name in names]
    assert words == pytest.approx([49.7, 24.8, 37.3, 49.9, 49.7, 52.3], abs=0.05)
    foreign = [claim_of(real, f"the replies: {name}, mostly not in Latin script").ours for name in names]
    # The first count took letters above U+024F for foreign; the scorers' own rule goes by the names of the letters.
    assert foreign == pytest.approx([0.080, 0.012, 0.343, 0, 0, 0], abs=4e-3)
    assert claim_of(real, "the replies: RedPajama FT, empty").k == 109


@pytest.mark.shared_data
@needs_files
def test_counts_on_conan(real):
    names = [f"{model} {variant} on CONAN" for model in ("RedPajama", "Falcon") for variant in ("IT", "FT", "RL")]
    perspective = [claim.k for claim in real if claim.claim in [f"{name}, Perspective" for name in names]]
    assert perspective == [67, 83, 68, 48, 169, 46]
    roberta = [claim_of(real, f"toxic replies: {name}, RoBERTa") for name in names]
    assert [(claim.k, claim.n) for claim in roberta] == [(k, 3718) for k in (252, 298, 249, 112, 748, 151)]


@pytest.mark.shared_data
@needs_files
def test_verdicts_on_the_real_files(real):
    assert claim_of(real, "Table 1", "RedPajama IT, all prompts").verdict == "equal"
    assert claim_of(real, "Table 1", "RedPajama RL, all prompts").verdict.startswith("holds only if unscored replies count as non-toxic")
    assert "vanishes under a paired test" in claim_of(real, "Slides", "Falcon RL against IT, toxic prompts").verdict
    assert claim_of(real, "means", "Falcon FT against IT, mean").verdict.startswith("reverses on the mean")
    assert claim_of(real, "Falcon FT against IT, all prompts, RoBERTa").verdict.startswith("reverses")
    table = as_text(real)
    assert max(map(len, table.splitlines())) < 300


@pytest.mark.shared_data
@needs_files
def test_the_claims_shown_on_results_are_those_of_the_files(real):
    shown = json.loads(REPRODUCED.read_text(encoding="utf-8"))["claims"]
    assert shown == nan_to_none([asdict(claim) for claim in real])
