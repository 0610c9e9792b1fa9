"""The audience on the presenter's pages: opening and closing the phones' page, its rules, and the votes."""

import socket

import httpx
import pytest

from detox_core.types import Vote
from pages.engine import room, store
from pages.text import literal


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def left_as_found(app_cache, isolated):
    rules = vars(room().rules).copy()
    yield
    if served := room().served:
        served.close()
    vars(room().rules).update(rules)
    store().forget_votes()


def opened(open_page, port: int):
    app = open_page("settings.py")
    app.number_input(key="audience_port").set_value(port)
    return app.button(key="audience_start").click().run()


def test_phones_page_is_opened_and_closed_from_settings(open_page, port):
    app = opened(open_page, port)
    assert not app.exception
    assert room().served.address.endswith(f":{port}")
    assert any(code.value == room().served.address for code in app.code)
    assert "Which answer would you post?" in httpx.get(f"http://127.0.0.1:{port}").text
    app.button(key="audience_stop").click().run()
    assert room().served is None
    assert app.button(key="audience_start")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}")


def test_taken_port_is_a_sentence_with_a_way_out(open_page):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        app = opened(open_page, other.getsockname()[1])
    assert not app.exception
    assert literal("Choose another") in app.error[0].value
    assert room().served is None


def test_without_a_network_the_page_says_so(open_page, port, monkeypatch):
    import audience

    monkeypatch.setattr(audience, "lan_address", lambda: "127.0.0.1")
    app = opened(open_page, port)
    assert "in no network" in app.warning[0].value


def test_rules_hold_at_once_and_keeping_needs_free_text(open_page):
    app = open_page("settings.py")
    assert app.toggle(key="rule_keep_prompts").disabled
    app.toggle(key="rule_free_text").set_value(True).run()
    app.toggle(key="rule_keep_prompts").set_value(True).run()
    assert (room().rules.free_text, room().rules.keep_prompts) == (True, True)
    app.toggle(key="rule_free_text").set_value(False).run()
    assert (room().rules.free_text, room().rules.keep_prompts) == (False, False)
    app.toggle(key="rule_open").set_value(False).run()
    assert room().rules.open is False
    assert open_page("settings.py").toggle(key="rule_open").value is False


def test_other_tabs_rules_are_not_undone(open_page):
    app, other = open_page("settings.py"), open_page("settings.py")
    app.toggle(key="rule_open").set_value(False).run()
    other.toggle(key="rule_free_text").set_value(True).run()
    assert (room().rules.open, room().rules.free_text) == (False, True)


def test_curated_prompts_are_the_presenters(open_page):
    app = open_page("settings.py")
    app.text_area(key="rule_prompts").set_value("  One thing \n\nAno\x02ther\n\x02\nOne thing\n").run()
    assert room().rules.prompts == ("One thing", "Another")
    assert app.text_area(key="rule_prompts").value == "One thing\nAnother"


def test_results_are_silent_about_votes_nobody_was_asked_for(open_page):
    assert "What the audience would post" not in [header.value for header in open_page("results.py").header]


def test_results_wait_for_votes_once_the_page_is_open(open_page, port):
    opened(open_page, port)
    assert "no votes yet" in open_page("results.py").info[0].value


def test_results_count_the_votes_and_forget_them(open_page):
    variants = [variant.id for variant in room().variants]
    for at in range(4):
        store().vote(Vote(f"visitor {at}", "b", "Hello", variants[min(at, 1)], "A", ""))
    app = open_page("results.py")
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table["votes"]) == [1, 3, 0]
    assert list(app.dataframe[1].value["votes"]) == [4]
    assert "4 votes of 4 visitors" in app.caption[0].value
    app.button(key="forget-votes").click().run()
    assert store().votes() == []
