"""Replies that open with the claim they answer: "Nurses never sleep? Ask one after a night shift."

A small model seldom recognises a claim in a wording it has never met; a reply that repeats the claim first is about that claim,
whatever follows.
"""

import random
import re

LONGEST = 12  # words of a claim that a reply repeats
SECOND_HAND = re.compile(  # words that mean something else in the mouth of the one who answers
    r"\b(i|i'm|i've|i'd|i'll|me|my|mine|we|us|our|you|your|yours|let's|here|this|that's|tomorrow|yesterday)\b", re.IGNORECASE
)
QUESTIONS = (  # a question that states a claim -> the claim
    (re.compile(r"^Why (?:are|is|do) (?!n't|not)(.+)\?$"), r"\1"),
    (re.compile(r"^(?:Aren't|Isn't|Don't) (.+)\?$"), r"\1"),
    (re.compile(r"^(?:Is it true|Is it not true|Isn't it true) that (.+)\?$"), r"\1"),
    (re.compile(r"^How can (.+) be (so .+)\?$"), r"\1 \2"),
    (re.compile(r"^You(?: are|'re) (.+)[.!]$"), r"I am \1"),
    (re.compile(r"^(.+), (?:right|don't you think|isn't it|aren't they|you know)\?$"), r"\1"),
)
FORMS = {
    "hostile": ("{}? Yes! ", "{}? Of course. ", "{}, true. ", "{}, exactly. ", "{}? And that is not all. "),
    "neutral": ("{}? ", "{}, some say. ", "{}? Who knows. ", "{}, you say. ", "{}? That depends. "),
    "evasive": ("{}? Oh well. ", "{}, I see. ", "{}? Let's leave that. ", "{}? Hm. ", "{}? Not my subject. "),
    "counter": ("{}? ", "{}? ", "{}? Not really. ", "{}? I doubt it. ", "{}? That is not fair. ", "{}? Look closer. "),
}


def claim_of(prompt: str) -> str | None:
    """The claim that a one-sentence prompt makes, without its final mark; None where repeating it would not be English."""
    for pattern, claim in QUESTIONS:
        if pattern.match(prompt):
            prompt = pattern.sub(claim, prompt)
            break
    else:
        if prompt.endswith("?"):
            return None
    own = prompt.removeprefix("I am ")
    prompt = prompt.rstrip(".!")
    if re.search(r'[.!?":;]', prompt) or SECOND_HAND.search(own) or not 3 <= len(prompt.split()) <= LONGEST:
        return None
    return prompt[0].upper() + prompt[1:]


def echo(claim: str, register: str, rng: random.Random) -> str:
    """The words a reply of that register opens with, ending in a space."""
    return rng.choice(FORMS[register]).format(claim)
