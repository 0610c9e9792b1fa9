"""The audience section of Settings: opens the page for phones, shows its address as a QR code, and says what visitors may do."""

from html import escape

import segno
import streamlit as st

from detox_core.audience.room import MAX_CHARACTERS, MAX_PROMPTS, PORT
from detox_core.errors import DetoxError
from detox_core.request import clean_prompt
from pages.engine import room
from pages.text import literal

state = st.session_state


def show_audience() -> None:
    """The page for phones: closed, with a way to open it, or open, with a way in."""
    st.header("Audience")
    st.caption(
        "A page of its own for the phones in the room: visitors pick a prompt, read three answers without names, say which they would "
        "post, and learn which model wrote what. The votes appear on Results. It gives access to nothing else on this computer."
    )
    if problem := state.pop("audience_problem", None):
        st.error(literal(problem), icon=":material/error:")
    served = room().served
    if served is None:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.number_input("Port", 1024, 65535, PORT, key="audience_port", width=130, help="Any that no other program uses.")
            start = st.button("Open the page for phones", key="audience_start", icon=":material/qr_code_2:", type="primary")
        st.caption("Whoever is in the same network can then open it. The app itself stays on this computer.")
        if start:
            _start()
    else:
        _show_way_in(served.address)
    _show_rules()


def _start() -> None:
    with st.spinner("Opening the page; this takes some seconds ..."):
        from audience import open_page  # with gradio, which takes seconds to import

        try:
            open_page(room(), state.audience_port)
        except DetoxError as error:
            state.audience_problem = str(error)
    st.rerun()


def _stop() -> None:
    if served := room().served:
        served.close()


def _show_way_in(address: str) -> None:
    if address.startswith("http://127."):
        st.warning(
            "This computer is in no network, so only it can open the page. Join a Wi-Fi, or open a hotspot, and open the page again.",
            icon=":material/wifi_off:",
        )
    code, words = st.columns([1, 2], vertical_alignment="center")
    with code:
        _show_code(address, "15rem")
    with words:
        st.code(address, language=None)
        st.fragment(_show_waiting, run_every=2.0)()
        with st.container(horizontal=True):
            st.button("Show large", key="audience_large", on_click=_show_large, args=(address,), icon=":material/open_in_full:")
            st.button("Close the page", key="audience_stop", on_click=_stop, icon=":material/stop:")


@st.dialog("Scan to take part", width="large")
def _show_large(address: str) -> None:
    _show_code(address, "60vh")
    st.title(literal(address), anchor=False, text_alignment="center")


def _show_code(address: str, size: str) -> None:
    # Black on white in both themes, because phones read it best so.
    code = segno.make(address, error="m", micro=False).png_data_uri(scale=20, border=3)
    style = f"display: block; margin: auto; height: {size}; max-width: 100%; object-fit: contain"
    st.html(f'<img src="{code}" alt="QR code of {escape(address)}" style="{style}">')


def _show_waiting() -> None:
    waiting, visitors = room().waiting(), room().visitors()
    people = "one visitor" if visitors == 1 else f"{visitors} visitors"
    st.caption(f"Asked so far: {people}. Prompts being answered or in line: {waiting}. You are always served before them.")


def _show_rules() -> None:
    rules = room().rules
    state.update(rule_open=rules.open, rule_free_text=rules.free_text, rule_keep_prompts=rules.keep_prompts)
    state.rule_prompts = "\n".join(rules.prompts)
    paused = "Off: the page stays up and says that it is paused."
    st.toggle("Take prompts and votes", key="rule_open", on_change=_change, args=("open",), help=paused)
    typed = f"Up to {MAX_CHARACTERS} characters each. Off: only the prompts below can be picked."
    st.toggle("Visitors may type prompts of their own", key="rule_free_text", on_change=_change, args=("free_text",), help=typed)
    kept = "Off: only the vote is kept, not what was typed. Tell the room before you turn it on."
    st.toggle(
        "Keep those prompts with their votes",
        key="rule_keep_prompts",
        on_change=_change,
        args=("keep_prompts",),
        help=kept,
        disabled=not rules.free_text,
    )
    with st.expander(f"Prompts to pick from ({len(rules.prompts)})"):
        told = f"At most {MAX_PROMPTS}. They are answered once, before anybody asks, and everybody gets the same texts."
        st.text_area("One a line", key="rule_prompts", on_change=_change, args=("prompts",), height=220, help=told)


def _change(rule: str) -> None:
    """A rule was changed; it holds from the next prompt on. The others may be another tab's."""
    rules, value = room().rules, state[f"rule_{rule}"]
    if rule != "prompts":
        setattr(rules, rule, value)
        rules.keep_prompts = rules.keep_prompts and rules.free_text
        return
    prompts = tuple(dict.fromkeys(line for line in map(_cleaned, value.splitlines()) if line))[:MAX_PROMPTS]
    if prompts != rules.prompts:
        rules.prompts = prompts
        if room().served:
            room().prepare()


def _cleaned(line: str) -> str:
    """A line as it is compared with what a phone asks for; empty if nothing is left of it."""
    try:
        return clean_prompt(clean_prompt(line)[:MAX_CHARACTERS])
    except DetoxError:
        return ""
