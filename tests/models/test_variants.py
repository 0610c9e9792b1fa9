"""Which variants there are, and what a person may type for one."""

import json
from dataclasses import asdict

import pytest

from detox_core.errors import BadInput
from detox_core.models.variants import (
    DEFAULT,
    FAMILY,
    cache_folder,
    get_variants,
    list_variants,
    own_variants,
    remove_variant,
    save_variant,
)
from detox_core.types import Variant

MINE = Variant("mine.v1", "Mine", "some/base", "some/adapter", dtype="float32")


@pytest.fixture
def damaged(isolated):
    path = isolated / "variants" / "broken.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"id": "broken",')
    return path


def test_the_cache_is_where_the_environment_says(isolated, monkeypatch):
    assert cache_folder() == isolated
    monkeypatch.delenv("DETOX_CACHE")
    assert cache_folder().name == "cache"
    assert (cache_folder().parent / "detox_core").is_dir()


def test_the_family_is_listed_first_and_the_papers_three_are_the_default():
    assert tuple(list_variants())[:4] == (*DEFAULT, "dpo")
    assert get_variants(list(DEFAULT)) == FAMILY[:3]
    assert len({variant.base_key for variant in FAMILY}) == 1


def test_chosen_order_is_kept():
    assert [variant.id for variant in get_variants(["rl", "it"])] == ["rl", "it"]


def test_saved_variant_is_found_and_can_be_forgotten():
    save_variant(MINE)
    assert get_variants(["it", "mine.v1"])[1] == MINE
    assert own_variants() == ["mine.v1"]
    remove_variant("mine.v1")
    assert own_variants() == []
    with pytest.raises(BadInput, match=r"Unknown variant 'mine\.v1'"):
        get_variants(["mine.v1"])


def test_finished_run_is_a_variant(isolated):
    path = isolated / "runs" / "run-1" / "variant.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(asdict(Variant("run-1", "Run 1", "some/base", str(path.parent)))))
    assert get_variants(["run-1"])[0].adapter == str(path.parent)
    assert own_variants() == []


def test_a_file_cannot_replace_a_member_of_the_family(isolated):
    path = isolated / "variants" / "it.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(asdict(Variant("it", "Not IT", "some/base"))))
    assert list_variants()["it"] == FAMILY[0]


@pytest.mark.parametrize("name", ["it", "ft", "rl", "", "Big", "a b", "../up", "-x", "x" * 65])
def test_bad_names_are_refused(name, isolated):
    with pytest.raises(BadInput, match=r"(?i)name"):
        save_variant(Variant(name, "X", "some/base"))
    assert not list(isolated.rglob("*.json"))


def test_remove_does_not_leave_the_folder(isolated):
    save_variant(MINE)
    outside = isolated / "outside.json"
    outside.write_text("{}")
    remove_variant("../outside")
    assert outside.exists()


def test_unknown_variant_lists_the_known_ones():
    with pytest.raises(BadInput, match=r"Unknown variant 'nope'.*it, ft, rl.*folder, a Hub id"):
        get_variants(["it", "nope"])


def test_no_variant_is_refused():
    with pytest.raises(BadInput, match="Pick at least one"):
        get_variants([])


def test_the_same_variant_twice_is_refused():
    with pytest.raises(BadInput, match="named twice: it, it"):
        get_variants(["it", "it"])


def test_damaged_file_is_skipped_in_the_list_and_named_when_asked_for(damaged):
    assert tuple(list_variants())[:4] == (*DEFAULT, "dpo")
    with pytest.raises(BadInput, match=r"broken\.json.*Delete it"):
        get_variants(["broken"])


@pytest.mark.parametrize("content", ["[]", '"text"', '{"id": "broken"}', '{"id": "b", "label": "B", "base": "x/y", "more": 1}', "\udcff"])
def test_every_kind_of_damage_is_named(damaged, content):
    damaged.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadInput, match=r"broken\.json"):
        get_variants(["broken"])


def test_hub_id_with_adapter_is_a_variant():
    assert get_variants(["some/base@some/adapter"])[0] == Variant("some/base@some/adapter", "adapter", "some/base", "some/adapter")
    assert get_variants(["some/base"])[0].adapter is None


def test_folder_is_a_variant(tmp_path):
    found = get_variants([str(tmp_path)])[0]
    assert (found.base, found.label) == (str(tmp_path), tmp_path.name)
