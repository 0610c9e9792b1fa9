"""What all sessions of a server share: the engine and the store."""

import streamlit as st

from detox_core.audience.room import Room
from detox_core.service import Service
from detox_core.store import Store


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """Everything remembered."""
    return Store()


@st.cache_resource(show_spinner=False)
def service() -> Service:
    """The one engine; it loads the embedded family in the background from its first mention."""
    made = Service(on_done=store().save)
    made.warm_up()
    return made


@st.cache_resource(show_spinner=False)
def room() -> Room:
    """The audience, whether its page is open or not."""
    return Room(service(), store())
