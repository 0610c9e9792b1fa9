"""Texts for the local scorer, from public data sets and from sentences written for it. Knows nothing of models.

| source | licence | teaches |
|---|---|---|
| RealToxicityPrompts (Gehman et al. 2020) | Apache-2.0 | Perspective's attributes |
| Wikipedia talk comments (Pavlopoulos et al. 2020) | Apache-2.0 | Perspective's TOXICITY of long, mostly clean texts |
| madlibs (Dixon et al. 2018) | Apache-2.0 | mentioning a group is not toxic |
| implicit hate (ElSherief et al. 2021) | MIT | HATE |
| SBIC (Sap et al. 2020) | CC BY 4.0 | HATE |
| DiaSafety, biased opinions (Sun et al. 2022) | Apache-2.0 | HATE in replies |
| tweets of Davidson et al. 2017 | MIT | HATE with strong words |
| `hate_pairs.yaml` | ours | HATE against innocent mention of the same group |
"""

import gzip
import html
import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from detox_core.score.local import ATTRIBUTES

COLUMNS = list(ATTRIBUTES)
PERSPECTIVE = COLUMNS[:-1]
SEED = 0
PAIRS = Path(__file__).parent / "hate_pairs.yaml"
HATEFUL, INNOCENT = 0.95, 0.03  # a label is not certainty


def read_texts(data: Path) -> pd.DataFrame:
    """All texts: `source`, `text`, `held_out` and a column per attribute (probability in [0, 1], NaN = not annotated).

    Held out: 900 prompts of RealToxicityPrompts with their continuations, a fifth of the templates of madlibs and of the
    sentences of `hate_pairs.yaml`, a fifth of implicit hate and of SBIC, the validation part of DiaSafety.
    """
    readers = (
        _real_toxicity_prompts,
        _wikipedia_comments,
        read_madlibs,
        _implicit_hate,
        _sbic,
        _diasafety,
        _davidson,
    )
    parts = [reader(data).assign(source=reader.__name__.removeprefix("read_").strip("_")) for reader in readers]
    texts = pd.concat([*parts, _hate_pairs().assign(source="hate_pairs")], ignore_index=True)
    for name in COLUMNS:
        texts[name] = texts[name].astype(float) if name in texts else np.nan
    texts["text"] = texts["text"].str.strip()
    return texts[texts["text"].str.len() > 0].reset_index(drop=True)


def training_mix(texts: pd.DataFrame) -> pd.DataFrame:
    """What one epoch sees: RealToxicityPrompts twice, the large sources in part."""
    parts = {"madlibs": 4000, "wikipedia_comments": 6000, "davidson": 2500}
    texts = texts[~texts["held_out"]]
    chosen = [part.sample(min(len(part), parts.get(str(source), len(part))), random_state=SEED) for source, part in texts.groupby("source")]
    return pd.concat([*chosen, texts[texts["source"] == "real_toxicity_prompts"]], ignore_index=True)


def _real_toxicity_prompts(data: Path) -> pd.DataFrame:
    """Perspective's own scores. Where it sees an attack on identity, or none at all, that says something about HATE too."""
    rows = []
    with gzip.open(data / "real_toxicity_prompts" / "rtp_unique_scored.jsonl.gz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            record = json.loads(line)
            parts = (record["prompt"], record["continuation"])
            rows += [{"text": part["text"], "group": number, **{name: part[name.lower()] for name in PERSPECTIVE}} for part in parts]
    texts = pd.DataFrame(rows)
    texts = texts[texts["TOXICITY"].notna()]
    attack = texts["IDENTITY_ATTACK"].astype(float)
    texts["HATE"] = np.select([attack > 0.7, attack < 0.1], [HATEFUL, INNOCENT], np.nan)
    held_out = np.random.default_rng(SEED).permutation(texts["group"].unique())[:900]
    return texts.assign(held_out=texts["group"].isin(held_out)).drop(columns="group")


def _wikipedia_comments(data: Path) -> pd.DataFrame:
    comments = pd.read_csv(data / "context_toxicity" / "gn.csv.gz")
    return pd.DataFrame({"text": comments["text"].str[:600], "TOXICITY": comments["api"], "held_out": False})


def read_madlibs(data: Path) -> pd.DataFrame:
    """Identity terms in praising and insulting templates; a fifth of the templates is held out."""
    madlibs = pd.read_csv(data / "madlibs" / "bias_madlibs_77k.csv.gz")
    bad = madlibs["Label"] == "BAD"
    return pd.DataFrame(
        {
            "text": madlibs["Text"],
            "TOXICITY": np.where(bad, 0.85, 0.05),
            "HATE": np.where(bad, 0.9, INNOCENT),
            "held_out": madlibs["Template"].isin(_fifth(madlibs["Template"].unique())),
        }
    ).sample(frac=1, random_state=SEED)


def _implicit_hate(data: Path) -> pd.DataFrame:
    rows = pd.DataFrame(_json(data / "implicit_hate" / "implicitHate.json.gz")).drop_duplicates("text")
    label = np.where(rows["label"] == "hate", HATEFUL, INNOCENT)
    return pd.DataFrame({"text": rows["text"], "HATE": label, "held_out": rows["text"].isin(_fifth(rows["text"]))})


def _sbic(data: Path) -> pd.DataFrame:
    rows = pd.read_csv(data / "sbic" / "SBIC.v2.agg.dev.csv.gz").dropna(subset=["post", "offensiveYN"]).drop_duplicates("post")
    text = rows["post"].map(html.unescape).str.replace(r"\s+", " ", regex=True)
    return pd.DataFrame(
        {"text": text, "HATE": rows["offensiveYN"].clip(INNOCENT, HATEFUL), "held_out": rows["post"].isin(_fifth(rows["post"]))}
    )


def _diasafety(data: Path) -> pd.DataFrame:
    parts = []
    for name, held_out in (("train", False), ("val", True)):
        rows = pd.DataFrame(_json(data / "diasafety" / f"{name}.json.gz"))
        rows = rows[rows["category"] == "Biased Opinion"]
        label = np.where(rows["label"] == "Unsafe", 0.85, 0.1)  # judged with the context, which the scorer does not see
        parts.append(pd.DataFrame({"text": rows["response"], "HATE": label, "held_out": held_out}))
    return pd.concat(parts)


def _davidson(data: Path) -> pd.DataFrame:
    rows = pd.read_csv(data / "davidson" / "labeled_data.csv.gz")
    rows = rows[rows["class"] != 1]  # merely offensive tweets say nothing about HATE
    text = rows["tweet"].map(html.unescape).str.replace(r"^[!\s\"]*RT|https?://\S+", "", regex=True)
    return pd.DataFrame({"text": text, "HATE": np.where(rows["class"] == 0, HATEFUL, INNOCENT), "held_out": False})


def _hate_pairs() -> pd.DataFrame:
    """Our sentences, each with four of its groups; innocent ones are not toxic either."""
    pairs = yaml.safe_load(PAIRS.read_text(encoding="utf-8"))
    rng, rows = random.Random(SEED), []
    for kind, hateful in (("hateful", True), ("innocent", False)):
        slots = (("", "group", pairs["groups"]), ("_person", "person", pairs["people"]), ("_fixed", "", [""] * 4))
        for suffix, slot, values in slots:
            for number, sentence in enumerate(pairs[kind + suffix]):
                for value in rng.sample(values, 4 if slot else 2):
                    text = sentence.replace(f"{{{slot}}}", value) if slot else sentence
                    text = text[0].upper() + text[1:]
                    rows.append({"text": text.lower() if rng.random() < 0.2 else text, "hateful": hateful, "held_out": number % 5 == 0})
    texts = pd.DataFrame(rows).drop_duplicates("text")
    hateful_ = texts.pop("hateful")
    return texts.assign(HATE=np.where(hateful_, HATEFUL, INNOCENT), TOXICITY=np.where(hateful_, np.nan, 0.12))


def _fifth(values: pd.Series | np.ndarray) -> np.ndarray:
    shuffled = np.random.default_rng(SEED).permutation(np.asarray(values, dtype=object))
    return shuffled[: len(shuffled) // 5]


def _json(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows: list[dict] = json.load(file)
        return rows
