"""The Settings page."""

from detox_core.models.variants import own_variants
from pages.text import literal


def test_settings_say_offline_ready_and_list_the_family(open_page):
    app = open_page("settings.py")
    assert not app.exception
    assert "Offline-ready" in app.success[0].value
    listed = next(frame.value for frame in app.dataframe if "column" in frame.value.columns)
    assert list(listed["column"])[:3] == ["IT", "FT", "RL"]


def test_added_model_is_listed_and_can_be_forgotten(open_page):
    app = open_page("settings.py")
    app.text_input(key="new_id").input("mine")
    app.text_input(key="new_base").input("owner/model")
    next(button for button in app.button if button.label == "Add").click().run()
    assert own_variants() == ["mine"]
    next(button for button in app.button if button.label == "Forget").click().run()
    assert own_variants() == []


def test_bad_name_is_a_sentence(open_page):
    app = open_page("settings.py")
    app.text_input(key="new_id").input("../evil")
    app.text_input(key="new_base").input("owner/model")
    next(button for button in app.button if button.label == "Add").click().run()
    assert not app.exception
    assert literal("../evil") in app.error[0].value
    assert own_variants() == []
