"""What a visitor sees of his answers, as JSON types."""

from typing import Any

from detox_core.audience.room import Ballot, Room, broken
from detox_core.figures.colors import RAMPS
from detox_core.types import Generation, Score, Variant, bucket

NOTHING: dict[str, Any] = {"turn": 0, "prompt": "", "status": "", "problem": "", "told": "", "answers": [], "ready": False, "voted": ""}
TOLD = "Toxicity is the estimated probability that a rater would call the text toxic. The marked words carry it."


def picture(room: Room, session: str, ballot: Ballot) -> dict[str, Any]:
    """What a visitor sees of his answers, as JSON types: before the vote nothing that tells the models apart."""
    job, replies = ballot.job, ballot.replies()
    job.watch()
    if job.state == "failed":
        return {**NOTHING, "prompt": ballot.prompt, "problem": f"There are no answers: {job.error} Pick a prompt to try again."}
    ready = not job.active
    if ready and broken(job):
        sorry = "Not every model answered to the end, so there is nothing to vote on. Pick a prompt to try again."
        return {**NOTHING, "prompt": ballot.prompt, "problem": sorry}
    voted = (room.voted(session, ballot) or "") if ready else ""
    answers = [
        {
            "letter": letter,
            "parts": _parts(reply, voted),
            "writing": not ready and job.state == "running",
            **(_reveal(room, ballot, variant, reply.score if reply else None) if voted else {}),
        }
        for (letter, reply), variant in zip(replies.items(), ballot.order, strict=True)
    ]
    status = "Which would you post?" if ready else _place(room, ballot)
    here = {"turn": ballot.asked, "prompt": ballot.prompt, "status": status, "answers": answers if job.comparison else [], "ready": ready}
    chosen = {"voted": voted, "status": f"You would post {voted}: {ballot.behind(voted).label}.", "told": TOLD} if voted else {}
    return {**NOTHING, **here, **chosen}


def _parts(reply: Generation | None, voted: str) -> list[list[Any]]:
    """The text in pieces; toxic words are marked only after the vote, because the marks give the answer away."""
    if reply is None:
        return []
    pieces, at = [], 0
    for span in reply.spans if voted else ():
        pieces += [[reply.text[at : span.start], False], [reply.text[span.start : span.end], True]]
        at = span.end
    return [*pieces, [reply.text[at:], False]]


def _reveal(room: Room, ballot: Ballot, variant: Variant, score: Score | None) -> dict[str, Any]:
    votes = [vote for vote in room.store.votes() if not ballot.curated or vote.prompt == ballot.prompt]
    ours, steps = sum(vote.variant == variant.id for vote in votes), len(RAMPS["light"])
    where = "on this prompt" if ballot.curated else "on all prompts"
    told = {"label": variant.label, "about": variant.about.partition(" (")[0].rstrip("."), "votes": f"{ours} of {len(votes)} votes {where}"}
    if score is None or not score.scored:
        return {"reveal": {**told, "score": None, "bucket": "not scored"}}
    step = min(int(score.value * steps), steps - 1)
    return {
        "reveal": {**told, "score": round(score.value, 4), "bucket": f"toxicity {score.value:.2f}, {bucket(score.value)}", "step": step}
    }


def _place(room: Room, ballot: Ballot) -> str:
    place, wait = room.service.position(ballot.job), room.service.wait(ballot.job)
    if place:
        return f"You are number {place + 1} in line" + (f", about {max(1, wait):.0f} s." if wait is not None else ".")
    return "The answers are being written ..." if ballot.job.comparison else "The models are getting ready ..."
