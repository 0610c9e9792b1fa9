"""What to cite, as BibTeX: for one comparison, for what a view used, or for everything."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from detox_core.types import Comparison, Variant

FILE = Path(__file__).parent / "references.bib"
ALWAYS = ("detoxlens", "scalena2023let", "wolf2020transformers")
ADAPTER = ("hu2022lora", "mangrulkar2022peft")
SAFEEDIT, NEURONS, VECTORS = "wang2024detoxifying", "suau2024whispering", "lee2024mechanistic"

INTERVENTIONS: dict[str, tuple[str, ...]] = {
    "self-reminder": ("xie2023defending",),
    "aura": (NEURONS,),
    "det0": (NEURONS,),
    "damp": (NEURONS,),
    "subtract": (VECTORS,),
    "subtract-value": (VECTORS,),
    "subtract-svd": (VECTORS,),
    "unalign": (VECTORS,),
    "profs": ("uppaal2025model",),
    "dinm": (SAFEEDIT,),
    "dinm-suffix": (SAFEEDIT,),
    "ft-l": ("meng2022locating", SAFEEDIT),
    "dexperts": ("liu2021dexperts",),
    "gedi": ("krause2020gedi",),
    "ext-sub": ("hu2024separate", "ilharco2023editing"),
    "sgeat": ("wang2022exploring",),
    "fade": ("hu2022lora",),
    "guidance": ("sanchez2023stay",),
    "word-filter": ("gehman2020realtoxicityprompts",),
    "toxification-reversal": ("leong2023self",),
    "best-of": (),  # a baseline that nobody in particular proposed
    "cmd": ("tang2024cmd",),
}
TRAINING: dict[str, tuple[str, ...]] = {
    "sft": ("vonwerra2020trl",),
    "dpo": ("rafailov2023direct", "pang2024iterative", "vonwerra2020trl"),
    "kto": ("ethayarajh2024kto", "vonwerra2020trl"),
    "rloo": ("ahmadian2024back", "vonwerra2020trl"),
    "grpo": ("shao2024deepseekmath", "vonwerra2020trl"),
    "ppo": ("schulman2017proximal", "schulman2016high", "ziegler2019fine"),
    "ear": ("attanasio2022entropy",),
    "filter": ("longpre2023pretrainers",),
}
SCORERS: dict[str, tuple[str, ...]] = {
    "local": ("wang2020minilm", "reimers2019sentence", "gehman2020realtoxicityprompts", "hu2022lora"),
    "second": ("logacheva2022paradetox", "pavlopoulos2021spans", "pavlopoulos2020context"),
    "roberta-hate": ("vidgen2021learning",),
    "toxic-bert": ("hanu2020detoxify",),
    "roberta-toxicity": ("logacheva2022paradetox",),
    "perspective": ("lees2022perspective",),
}
ATTRIBUTION: dict[str, tuple[str, ...]] = {
    "input_x_gradient": ("simonyan2013deep", "shrikumar2017learning"),
    "saliency": ("simonyan2013deep",),
    "integrated_gradients": ("sundararajan2017axiomatic",),
    "attention": ("sarti2023inseq",),
    "value_zeroing": ("mohebbi2023quantifying", "sarti2023inseq"),
    "occlusion": ("zeiler2014visualizing", "sarti2023inseq"),
    "lime": ("ribeiro2016why", "sarti2023inseq"),
    "deeplift": ("shrikumar2017learning", "sarti2023inseq"),
    "gradient_shap": ("lundberg2017unified", "sarti2023inseq"),
    "sequential_integrated_gradients": ("enguehard2023sequential", "sarti2023inseq"),
    "discretized_integrated_gradients": ("sanyal2021discretized", "sarti2023inseq"),
    "layer_gradient_x_activation": ("kokhlikyan2020captum", "sarti2023inseq"),
}
MEASURES: dict[str, tuple[str, ...]] = {
    "toxicity metrics": ("gehman2020realtoxicityprompts",),
    "paired tests": ("mcnemar1947note", "wilcoxon1945individual"),
    "events": ("nichols2002nonparametric",),
    "distinct": ("li2016diversity",),
    "defence": (SAFEEDIT,),
    "hurtful": ("nozza2021honest",),
    "similarity": ("wang2020minilm", "reimers2019sentence"),
    "inside": (VECTORS, NEURONS, "yang2025how"),
}
FORMATS: dict[str, tuple[str, ...]] = {
    "rtp": ("gehman2020realtoxicityprompts",),
    "rtp-lx": ("dewynter2024rtplx",),
    "dialoconan": ("bonaldi2022human",),
    "conan": ("chung2019conan", "fanton2021human"),
    "xstest": ("rottger2024xstest",),
    "honest": ("nozza2021honest",),
    "safeedit": (SAFEEDIT,),
    "hh": ("bai2022training",),
    "paradetox": ("logacheva2022paradetox",),
    "rewardlm": ("scalena2023let",),
}
TABLES = (INTERVENTIONS, TRAINING, SCORERS, ATTRIBUTION, MEASURES, FORMATS)


def read_references() -> dict[str, str]:
    """Every entry of the file, by its key, in order."""
    return {found[2]: found[0] for found in re.finditer(r"^@(\w+)\{([^,]+),\n.*?^\}$", FILE.read_text(encoding="utf-8"), re.M | re.S)}


def bibtex(record: Comparison | None = None, also: Iterable[str] = ()) -> str:
    """What a comparison used, as BibTeX; None = everything.

    Args:
        also: what else was used: keys of the tables above, for example an attribution method.
    """
    if record is None:
        return _written(read_references())
    measured = ("similarity",) if any(reply.quality for reply in record.generations) else ()
    return bibtex_of(record.variants, (record.scorer,), (*measured, *also))


def bibtex_of(variants: Sequence[Variant], scorers: Iterable[str] = (), also: Iterable[str] = ()) -> str:
    """What some variants, scorers and methods are made of, as BibTeX.

    Args:
        scorers: a Hub id or folder has no entry here.
        also: as for `bibtex`.
    """
    wanted = {*ALWAYS}
    for variant in variants:
        if variant.adapter:
            wanted.update(ADAPTER)
        if "smollm2" in variant.base.lower():
            wanted.add("allal2025smollm2")
        for method, keys in TRAINING.items():
            if re.search(rf"\b{method}\b", variant.about, re.IGNORECASE):  # says which method trained it
                wanted.update(keys)
        for method, _ in variant.interventions:
            wanted.update(INTERVENTIONS.get(method, ()))
    for name in (*scorers, *also):
        for table in TABLES:
            wanted.update(table.get(name, ()))
    return _written({key: entry for key, entry in read_references().items() if key in wanted})


def _written(entries: dict[str, str]) -> str:
    return "\n\n".join(entries.values()) + "\n"
