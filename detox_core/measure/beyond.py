"""What RewardLM's files say beyond the printed numbers: coverage, means, a second scorer, all flows, what the replies look like."""

import re
from typing import Any

import numpy as np
import pandas as pd

from detox_core.measure.agreement import agreement
from detox_core.measure.claims import both_ways, count_range
from detox_core.measure.families import REANALYSIS, RTP, SCORERS, Claim, Families, Family
from detox_core.measure.flow import BUCKETS, flows
from detox_core.measure.metrics import TOXIC
from detox_core.measure.report import RESAMPLES, SEED, interval
from detox_core.measure.verdicts import NOT_PUBLISHED, agreement_verdict, flow_verdict, mean_verdict, wilson
from detox_core.score.unscorable import unscorable

FOREIGN = "mostly not in Latin script"


def _on(family: Family) -> str:
    return "" if family.dataset == RTP else f" on {family.dataset}"


def second_row(found: Families) -> list[Claim]:
    """Whether the toxic prompts are the same ones for every model."""
    source = f"{REANALYSIS}: the second row of Table 1"
    sets = {
        family.name: set(family.frame.loc[family.frame["row"].isin(family.toxic_prompt.index[family.toxic_prompt]), "prompt"])
        for (dataset, _), family in found.items()
        if dataset == RTP and family.toxic_prompt.any()
    }
    claims = []
    if len(sets) > 1:
        shared, union = set.intersection(*sets.values()), set.union(*sets.values())
        sizes = " and ".join(f"{len(prompts):,} ({name})" for name, prompts in sets.items())
        verdict = "equal" if shared == union else f"differs: {sizes} different texts, {len(shared):,} in common"
        k, n = len(shared), len(union)
        claims.append(Claim(source, "the models' toxic prompts are the same", None, k / n, k, n, *wilson(k, n), verdict))
    return claims


def scored(found: Families) -> list[Claim]:
    """How many replies have a score, by variant and jointly; share of toxic replies among the scored ones."""
    coverage, toxic = [], []
    for family in found.values():
        columns, joint = family.scores("all"), family.scores("all", joint=True)
        for name, part in [*((name, columns[name].dropna()) for name in family.variants), ("all variants", joint)]:
            k, n = len(part), len(columns)
            verdict = "all scored" if k == n else f"{n - k:,} unscored ({1 - k / n:.1%})"
            verdict += ", non-toxic in print" if k < n and family.dataset == RTP and name in family.variants else ""
            coverage.append(_count(f"{REANALYSIS}: coverage", f"{family.name} {name}{_on(family)}, scored by Perspective", k, n, verdict))
        tables = {"Perspective": columns, "Perspective, scored for all": joint, "RoBERTa": family.scores("all", "roberta")}
        for scorer, table in tables.items():
            for name in family.variants:
                known = table[name].dropna()
                said = f"{family.name} {name}{_on(family)}, {scorer}"
                verdict = f"{NOT_PUBLISHED}; mean score {known.mean():.3f}"
                toxic.append(_count(f"{REANALYSIS}: toxic replies", said, int((known > TOXIC).sum()), len(known), verdict, as_share=True))
    return coverage + toxic


def _count(source: str, said: str, k: int, n: int, verdict: str, as_share: bool = False) -> Claim:
    if as_share:
        return Claim(source, said, None, k / n if n else None, k, n, *wilson(k, n), verdict)
    return Claim(source, said, None, k, k, n, *count_range(k, n), verdict)


def means(found: Families) -> list[Claim]:
    """Change of the mean Perspective score over the prompts scored for all variants, in points, beside that of the toxic share."""
    claims = []
    for family in found.values():
        joint = family.scores("all", joint=True)
        if joint.empty:
            continue
        resampled = np.random.default_rng(SEED).integers(0, len(joint), (RESAMPLES, len(joint)), dtype=np.int32)
        for a, b in family.pairs:
            change = interval((100 * (joint[b] - joint[a])).to_numpy(), resampled)
            value, low, high = (float(change[name] or 0) for name in ("value", "low", "high"))
            share = both_ways(family, "all", "perspective", (a, b))[1].points
            said = f"{family.name} {b} against {a}{_on(family)}, mean score, points"
            verdict = f"{mean_verdict(share, low, high)} (share {share:+.1f})"
            claims.append(Claim(f"{REANALYSIS}: means", said, None, value, None, len(joint), low, high, verdict))
    return claims


def scorers(found: Families) -> list[Claim]:
    """Replies that one scorer calls toxic and the other does not."""
    claims = []
    for family in found.values():
        first, second = (family.scores("all", name) for name in SCORERS)
        for name in family.variants:
            both = pd.DataFrame({"first": first[name], "second": second[name]}).dropna()
            k, n = int(((both["first"] > TOXIC) != (both["second"] > TOXIC)).sum()), len(both)
            r = agreement(both["first"].to_numpy(), both["second"].to_numpy())["r"]
            verdict = agreement_verdict(both["first"].to_numpy(), both["second"].to_numpy(), r)
            said = f"{family.name} {name}{_on(family)}, Perspective and RoBERTa disagree"
            claims.append(_count(f"{REANALYSIS}: two scorers", said, k, n, verdict, as_share=True))
    return claims


def all_flows(found: Families, numbers: dict[str, Any]) -> list[Claim]:
    """Flows between buckets from IT to another variant, over the prompts scored for all; their sums; where newly high ones come from."""
    claims, bounds = [], numbers["bounds"]
    for (dataset, _), family in found.items():
        joint = family.scores("all", joint=True)
        if dataset != RTP or joint.empty:
            continue
        source = f"{REANALYSIS}: flows of {family.name}, prompts scored for all variants"
        for variant in family.variants:
            sums = {name: flows(joint, variant, variant, limits) for name, limits in bounds.items()}
            claims += [_flow(source, f"{variant} {at}", (at, at), sums, bounds) for at in BUCKETS]
        for a, b in family.pairs:
            if a == "IT":
                counts = {name: flows(joint, a, b, limits) for name, limits in bounds.items()}
                claims += [_flow(source, f"{x} of {a} to {y} of {b}", (x, y), counts, bounds) for x in BUCKETS for y in BUCKETS]
                claims.append(_newly_high(source, counts["code"], b))
    return claims


def _flow(source: str, said: str, place: tuple[str, str], counts: dict[str, pd.DataFrame], bounds: dict[str, Any]) -> Claim:
    code, text = (int(counts[name].loc[place]) for name in ("code", "text"))
    return _count(source, said, code, int(counts["code"].to_numpy().sum()), flow_verdict(None, code, text, bounds))


def _newly_high(source: str, counts: pd.DataFrame, variant: str) -> Claim:
    k, n = int(counts.loc["low", "high"]), int(counts.loc[["low", "medium"], "high"].sum())
    low, high = wilson(k, n)
    verdict = "most come from low" if low > 0.5 else "most come from medium" if high < 0.5 else "about half come from low"
    return Claim(source, f"newly high replies of {variant} that were low", None, k / n if n else None, k, n, low, high, verdict)


def texts(found: Families) -> list[Claim]:
    """What may explain the scores: script, empty replies, length."""
    claims = []
    source = f"{REANALYSIS}: the replies"
    for family in found.values():
        replies, scores = family.wide("reply"), family.scores("all")
        for name in family.variants:
            reasons = replies[name].map(_reason)
            unscored = scores[name].isna()
            foreign, n = int((reasons == FOREIGN).sum()), len(reasons)
            lost = int((reasons[unscored] == FOREIGN).sum())
            verdict = f"{lost} of the {int(unscored.sum())} unscored ones" if unscored.any() else "all scored all the same"
            where = f"{family.name} {name}{_on(family)}"
            claims.append(_count(source, f"{where}, {FOREIGN}", foreign, n, verdict, as_share=True))
            if empty := int((reasons == "empty").sum()):
                verdict = f"{int((unscored & (reasons == 'empty')).sum())} of them unscored"
                claims.append(_count(source, f"{where}, empty", empty, n, verdict, as_share=True))
            words = replies[name].str.split().str.len()
            claims.append(Claim(source, f"{where}, words", None, float(words.mean()), None, n, *_mean_range(words), NOT_PUBLISHED))
    return claims


def _reason(text: str) -> str | None:
    # ASCII text with a letter is Latin script; asking for the names of its characters takes long.
    return None if text.isascii() and re.search("[A-Za-z]", text) else unscorable(text)


def _mean_range(values: pd.Series) -> tuple[float, float]:
    half = 1.96 * float(values.sem()) if len(values) > 1 else float("nan")
    return float(values.mean()) - half, float(values.mean()) + half
