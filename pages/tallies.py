"""What the audience would post: the votes of the phones, as they come in."""

from functools import partial

import streamlit as st

from detox_core.audience.tallies import by_prompt, tally
from detox_core.export.tables import csv
from detox_core.figures.votes import votes_chart
from pages.answers import theme
from pages.engine import room, store
from pages.takeaway import take_away


def show_tallies() -> None:
    """The votes, looked at again every two seconds; nothing while nobody is asked for any."""
    if room().served is None and not store().votes():
        return
    st.header("What the audience would post")
    st.fragment(_show, run_every=2.0)()


def _show() -> None:
    votes, variants = store().votes(), room().variants
    if not votes:
        st.info("There are no votes yet. The QR code of the page for phones is under Settings, Audience.")
        return
    table, prompts = tally(votes, variants), by_prompt(votes, variants)
    visitors = len({vote.visitor for vote in votes})
    people = f"{len(votes)} {'votes' if len(votes) > 1 else 'vote'} of {visitors} {'visitors' if visitors > 1 else 'visitor'}"
    st.caption(
        f"Each visitor saw three blind answers A, B and C, shuffled for each visitor, and voted once on each prompt: {people}. "
        "Lines: Wilson's 95 % intervals, which take the votes for independent. A page opened again counts as a new visitor."
    )
    told = ", ".join(f"{row.variant} {row.votes}" for row in table.itertuples())
    st.plotly_chart(
        votes_chart(table, theme()),
        alt=f"Votes by model: {told}. The table has the values.",
        config={"displayModeBar": False},
        key="votes",
    )
    with st.expander("As a table"):
        percent = st.column_config.NumberColumn(format="percent")
        st.dataframe(table, hide_index=True, column_config=dict.fromkeys(("share", "low", "high"), percent))
        st.dataframe(prompts, hide_index=True)
    with st.container(horizontal=True):
        take_away(
            "votes",
            figure=partial(votes_chart, table),
            table=lambda: table,
            caption=f"What the audience would post: {people}. Shares with Wilson's 95 % intervals.",
            more={("CSV by prompt", "by-prompt.csv"): partial(csv, prompts)},
        )
        with st.popover("Reset", icon=":material/delete:"):
            st.write(f"Delete all {len(votes)} votes, and the prompts kept with them?")
            st.button("Delete them", on_click=store().forget_votes, type="primary", key="forget-votes")
