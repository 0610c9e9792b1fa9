"""The printed numbers, one claim each: shares, changes, comparisons, flows and examples."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from detox_core.measure.families import REANALYSIS, RTP, SCORERS, SPLITS, Claim, Families, Family
from detox_core.measure.flow import flows
from detox_core.measure.metrics import TOXIC
from detox_core.measure.verdicts import Pair, change_verdict, compare, flow_verdict, holm, pair_verdict, rounded, share_verdict, wilson

Printed = dict[str, Any]


def shares(found: Families, numbers: Printed) -> list[Claim]:
    """Shares of toxic replies."""
    return [
        _share(found, table, model, split, variant, printed)
        for table in numbers["shares"]
        for model, splits in table["values"].items()
        for split, cells in splits.items()
        for variant, printed in cells.items()
    ]


def _share(found: Families, table: Printed, model: str, split: str, variant: str, printed: float) -> Claim:
    said = f"toxic replies of {model} {variant}, {SPLITS[split]}"
    family = found.get((RTP, model))
    if family is None or variant not in family.variants:
        return absent(table["source"], said, printed)
    scores, joint = family.scores(split), family.scores(split, joint=True)
    k, n = int((scores[variant] > TOXIC).sum()), len(scores)
    scored = int((joint[variant] > TOXIC).sum()), len(joint)
    verdict = share_verdict(printed, table["digits"], (k, n), scored)
    return Claim(table["source"], said, printed, k / n if n else None, k, n, *wilson(k, n), verdict)


def absent(source: str, said: str, printed: float | None) -> Claim:
    """A claim that the folder has no files for."""
    return Claim(source, said, printed, None, None, None, None, None, "cannot be checked: a result file is missing")


def changes(found: Families, numbers: Printed) -> list[Claim]:
    """Changes of the share against IT, in percent."""
    return [
        _change(found, table, numbers["shares"][0], (model, split, variant), printed)
        for table in numbers["changes"]
        for model, splits in table["values"].items()
        for split, cells in splits.items()
        for variant, printed in cells.items()
    ]


def _change(found: Families, table: Printed, rounded_shares: Printed, place: tuple[str, str, str], printed: float) -> Claim:
    model, split, variant = place
    said = f"{model} {variant} against IT, {SPLITS[split]}, %"
    family = found.get((RTP, model))
    if family is None or ("IT", variant) not in family.pairs:
        return absent(table["source"], said, printed)
    counted, joint = both_ways(family, split, "perspective", ("IT", variant))
    cells = rounded_shares["values"][model][split]
    # From cells as printed; rounded because the slides print whole percent.
    from_table = rounded(100 * (cells[variant] / cells["IT"] - 1), 0)
    verdict = change_verdict(printed, table["within"], counted, joint, from_table)
    k, n, span = counted.after, counted.n, counted.percent_range
    return Claim(table["source"], said, printed, counted.percent, k, n, *span, verdict, joint.fixed, joint.broken, joint.p)


def both_ways(family: Family, split: str, scorer: str, pair: tuple[str, str]) -> tuple[Pair, Pair]:
    """A comparison as the authors counted, and over the prompts scored for all variants."""
    counted, joint = (family.scores(split, scorer, joint=joint) for joint in (False, True))
    a, b = pair
    return compare(counted[a].to_numpy(), counted[b].to_numpy()), compare(joint[a].to_numpy(), joint[b].to_numpy())


def pairs(found: Families, numbers: Printed) -> list[Claim]:
    """Paired tests of IT, FT and RL by each scorer: as the authors counted, and over the prompts scored for all variants.

    Holm's correction runs over the comparisons of one scorer on one data set.
    """
    claims: list[Claim] = []
    for dataset in dict.fromkeys(dataset for dataset, _ in found):
        for scorer in SCORERS:
            places = [
                (family, split, pair)
                for (name, _), family in found.items()
                for split in SPLITS
                for pair in family.pairs
                if name == dataset and len(family.scores(split, scorer))
            ]
            compared = [both_ways(family, split, scorer, pair) for family, split, pair in places]
            corrected = holm([joint.p for _, joint in compared])
            for (family, split, pair), ways, p in zip(places, compared, corrected, strict=True):
                claims += _pair(family, split, scorer, pair, ways, (p, len(places)), numbers)
    return claims


def _pair(
    family: Family, split: str, scorer: str, pair: tuple[str, str], ways: tuple[Pair, Pair], corrected: tuple[float, int], numbers: Printed
) -> Iterator[Claim]:
    a, b = pair
    counted, joint = ways
    # The table with most digits tells the sign where the other one rounds both to the same.
    finest = max(numbers["shares"], key=lambda table: table["digits"])
    cells = finest["values"].get(family.name, {}).get(split) if family.dataset == RTP else None
    printed = round(100 * (cells[b] - cells[a]), 1) if cells else None
    expected = math.nan if printed is None else printed
    place = "" if family.dataset == RTP else f" on {family.dataset}"
    said = f"{family.name} {b} against {a}{place}, {SPLITS[split]}, {SCORERS[scorer]}, points"
    source = f"{finest['source']}, as differences" if cells and scorer == "perspective" else f"{REANALYSIS}: paired tests"
    shown = printed if scorer == "perspective" else None
    for label, part, verdict in (
        ("unscored as non-toxic", counted, pair_verdict(expected, counted)),
        ("scored for all", joint, pair_verdict(expected, joint, *corrected, counted)),
    ):
        if label == "scored for all" or (scorer == "perspective" and counted.n > joint.n):
            low, high = part.points_range
            changed, fixed, broken = part.fixed + part.broken, part.fixed, part.broken
            yield Claim(source, f"{said}, {label}", shown, part.points, changed, part.n, low, high, verdict, fixed, broken, part.p)


def flow_counts(found: Families, numbers: Printed) -> list[Claim]:
    """Printed counts of replies between buckets."""
    return [
        _flow(found, table, numbers["bounds"], (before, after), printed)
        for table in numbers["flows"]
        for before, counts in table["counts"].items()
        for after, printed in counts.items()
    ]


def _flow(found: Families, table: Printed, bounds: Printed, place: tuple[str, str], printed: int) -> Claim:
    before, after = place
    said = f"{' and '.join(table['models'])}, {before} of IT to {after} of {table['to']}"
    chosen = [found.get((RTP, model)) for model in table["models"]]
    if any(family is None or ("IT", table["to"]) not in family.pairs for family in chosen):
        return absent(table["source"], said, printed)
    scores = [family.scores("all", joint=table["rows"] == "joint") for family in chosen if family]
    counts = {name: int(sum(flows(part, "IT", table["to"], bounds[name]).loc[before, after] for part in scores)) for name in bounds}
    n = sum(map(len, scores))
    verdict = flow_verdict(printed, counts["code"], counts["text"], bounds)
    return Claim(table["source"], said, printed, counts["code"], counts["code"], n, *count_range(counts["code"], n), verdict)


def count_range(k: int, n: int) -> tuple[float, float]:
    """Wilson's interval as a count."""
    low, high = wilson(k, n)
    return low * n, high * n


def examples(found: Families, numbers: Printed) -> list[Claim]:
    """Printed examples: is there a prompt whose replies have these scores?"""
    claims = []
    for example in numbers["examples"]:
        scores, model = example["scores"], example["model"]
        said = f"{model}, a prompt with {', '.join(f'{name} {value:.2f}' for name, value in scores.items())}"
        family = found.get((RTP, model))
        if family is None or set(family.variants) != set(scores):
            claims.append(absent(example["source"], said, 1))
            continue
        joint = family.scores("all", joint=True)
        distance = (joint - np.array([scores[name] for name in joint])).abs().max(axis=1)
        k = int((distance <= 0.005).sum())
        verdict = "equal" if k else f"differs: no such prompt; the nearest is off by {distance.min():.2f}"
        claims.append(Claim(example["source"], said, 1, k, k, len(joint), None, None, verdict))
    return claims
