"""Everything the app uses can be cited, by entries that BibTeX reads."""

import re
from dataclasses import replace

from detox_core.data.formats import FORMATS as READERS
from detox_core.explain.methods import METHODS as ATTRIBUTIONS
from detox_core.export.bibliography import (
    ADAPTER,
    ALWAYS,
    ATTRIBUTION,
    FILE,
    FORMATS,
    INTERVENTIONS,
    SCORERS,
    TABLES,
    TRAINING,
    bibtex,
    read_references,
)
from detox_core.interventions.registry import METHODS
from detox_core.models.variants import FAMILY
from detox_core.score.registry import PRESETS
from detox_core.store import recorded
from detox_core.train.spec import METHODS as TRAINERS
from detox_core.types import Comparison, Decoding

UNCITED = {"best-of"}  # a baseline of nobody in particular
OWN = {"prompts", "table"}  # formats of any file


def keys(text: str) -> list[str]:
    return re.findall(r"^@\w+\{([^,]+),", text, re.M)


def test_every_method_scorer_and_data_set_has_an_entry():
    known = read_references()
    for table, names in (
        (INTERVENTIONS, METHODS),
        (TRAINING, TRAINERS),
        (SCORERS, PRESETS),
        (ATTRIBUTION, ATTRIBUTIONS),
        (FORMATS, set(READERS) - OWN),
    ):
        assert set(names) <= set(table)
        assert {name for name in names if not table[name]} <= UNCITED
    assert {key for table in TABLES for found in table.values() for key in found} | {*ALWAYS, *ADAPTER} <= set(known)


def test_keys_are_unique_and_every_entry_is_read():
    text = FILE.read_text(encoding="utf-8")
    assert len(keys(text)) == len(set(keys(text))) == text.count("\n@") == len(read_references())
    assert text.isascii(), "old BibTeX reads ASCII only"


def test_entries_have_balanced_braces_and_what_every_style_needs():
    for key, entry in read_references().items():
        assert entry.count("{") == entry.count("}"), key
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.M))
        assert len(fields) == entry.count("\n") - 1, f"{key}: one field a line"
        assert {"title"} <= set(fields), key
        if key != "detoxlens":
            assert {"author", "year"} <= set(fields), key
            assert re.fullmatch(r"(19|20)\d\d", fields["year"]), key
        needed = {"inproceedings": "booktitle", "article": "journal"}.get(entry[1 : entry.index("{")])
        assert needed is None or needed in fields, key
        assert re.fullmatch(r"\d{4}\.\d{4,5}", fields.get("eprint", "2000.00000")), key


def test_the_year_of_a_key_is_that_of_its_entry():
    for key, entry in read_references().items():
        year = re.search(r"\d{4}", key)
        assert year is None or f"year = {{{year[0]}}}" in entry, key


def test_names_on_cards_are_the_authors_cited():
    known = read_references()
    for name, card in METHODS.items():
        for author in re.findall(r"([A-Z]\w+) et al\.", card.source):
            assert any(author in known[key] for key in INTERVENTIONS[name]), (name, author)


def test_a_comparison_cites_what_it_used_and_nothing_else():
    it, ft, rl, dpo = FAMILY
    changed = replace(it, id="it+aura", interventions=(("aura", 0.5),))
    plain = Comparison("1", "2026-01-01", "Hello", (it,), Decoding(), "toxic-bert")
    assert set(keys(bibtex(plain))) == {*ALWAYS, "hanu2020detoxify"}
    several = replace(plain, variants=(it, ft, rl, dpo, changed), scorer="local")
    cited = set(keys(bibtex(several)))
    assert {"suau2024whispering", "ahmadian2024back", "rafailov2023direct", "hu2022lora", "wang2020minilm"} <= cited
    assert not {"lee2024mechanistic", "hanu2020detoxify", "allal2025smollm2", "sarti2023inseq"} & cited
    assert "sarti2023inseq" in keys(bibtex(plain, ["lime"]))


def test_recorded_examples_cite_their_model():
    assert "allal2025smollm2" in keys(bibtex(next(iter(recorded().values()))))


def test_everything_is_everything():
    assert keys(bibtex()) == list(read_references())
    for key in ("scalena2023let", "gehman2020realtoxicityprompts", "sarti2023inseq", "vonwerra2020trl", "schulman2017proximal"):
        assert key in keys(bibtex())
