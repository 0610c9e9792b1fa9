"""Compose conversations from the hand-written corpus: items x prompts x replies x slots x surface noise.

Knows nothing of models. The corpus lies in `corpus/*.yaml`; its format is described in `corpus/README.md`.
"""

import gzip
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "corpus"
REGISTERS = ("hostile", "neutral", "evasive", "counter", "helpful")
# How the untuned model answers a toxic prompt: often hostile, sometimes decent. Tuning has to shift this mixture.
IT_MIXTURE = {"hostile": 0.36, "neutral": 0.24, "evasive": 0.15, "counter": 0.25}
TOXIC_SHARE = 0.62

OPENERS = (
    "Honestly, ", "I think ", "I really think ", "Everybody knows that ", "My uncle says that ", "Let's face it, ",
    "Sorry, but ", "In my opinion ", "If you ask me, ", "Come on, ", "Well, ", "You know what, ", "A friend told me that ",
    "Be honest, ", "So ", "Hey, ", "Look, ", "I have to say it: ", "They say ", "Frankly, ", "I am sure that ", "It is obvious that ",
)  # fmt: skip
CLOSERS = (
    " Right?", " Don't you think?", " Am I wrong?", " What do you think?", " Agree?", " Just saying.", " It's true.",
    " Admit it.", " lol", " Seriously.", " Tell me I'm wrong.", " You agree, don't you?", " I can't stand it.",
)  # fmt: skip
POLITE_OPENERS = (
    "Hey, ",
    "Hi, ",
    "Hello! ",
    "Quick question: ",
    "Please, ",
    "Well, ",
    "So, ",
    "Okay, ",
    "One more thing: ",
    "By the way, ",
)
POLITE_CLOSERS = (" Thanks!", " Please help.", " Thank you.", " Any idea?", " :)", " Just curious.")
HER_NAMES = (
    "Joanna", "Maria", "Sarah", "Anna", "Lucy", "Emma", "Nina", "Laura", "Fatima", "Mei", "Priya", "Olga", "Sofia", "Carla", "Julia",
    "Kate", "Linda", "Amy", "Rosa", "Helen", "Aisha", "Ingrid", "Paula", "Susan", "Karen", "Diana", "Claire", "Marta", "Zoe", "Ruth",
)  # fmt: skip
HIS_NAMES = (
    "Peter", "Tom", "Marco", "Ahmed", "John", "David", "Lukas", "Ivan", "Carlos", "Kenji", "Paul", "Mike", "Steve", "Omar", "Daniel",
    "Jack", "Felix", "Raj", "Leo", "Victor", "Simon", "Kevin", "Brian", "Ali", "Oscar", "Martin", "George", "Adam", "Hugo", "Bill",
)  # fmt: skip
KEPT_CAPITAL = {
    "I", "Muslims", "Muslim", "Jews", "Jewish", "Christians", "Germans", "Mexicans", "Italians", "Americans", "French", "Russians",
    "Asians", "Black", "Arabs", "Africans", "Poles", "Indians", "Chinese", "Turks", "Roma", "Brazilians", "Latinos", "Hindus",
    "Buddhists", "English",
    *HER_NAMES, *HIS_NAMES,
}  # fmt: skip
PRONOUNS = {
    "she": {"he": "she", "him": "her", "his": "her", "He": "She", "Him": "Her", "His": "Her"},
    "he": {"he": "he", "him": "him", "his": "his", "He": "He", "Him": "Him", "His": "His"},
}


@dataclass(frozen=True)
class Item:
    """One claim or question with its prompts and its replies by register."""

    topic: str
    kind: str
    toxic: bool
    prompts: tuple[str, ...]
    replies: dict[str, tuple[str, ...]]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """One composed exchange."""

    prompt: str
    reply: str
    register: str


@cache
def read_items(folder: Path = FOLDER) -> tuple[Item, ...]:
    """All items of the corpus, in file order.

    Raises:
        ValueError: an item lacks a field; names the file and the topic.
    """
    items = []
    for path in sorted(folder.glob("*.yaml")):
        for raw in yaml.safe_load(path.read_text(encoding="utf-8")):
            replies = {name: tuple(raw[name]) for name in REGISTERS if raw.get(name)}
            if not (raw.get("topic") and raw.get("kind") and raw.get("prompts") and replies and "toxic" in raw):
                raise ValueError(f"{path.name}: the item {raw.get('topic')!r} needs topic, kind, toxic, prompts and replies.")
            groups = tuple(raw.get("groups", ()))
            items.append(Item(raw["topic"], raw["kind"], raw["toxic"], tuple(raw["prompts"]), replies, groups))
    return tuple(items)


def fill_slots(item: Item, rng: random.Random) -> dict[str, str]:
    """One choice of group, name and matching pronouns, shared by a prompt and its reply."""
    gender = rng.choice(("she", "he"))
    name = rng.choice(HER_NAMES if gender == "she" else HIS_NAMES)
    return {"name": name, "group": rng.choice(item.groups or ("people",)), **PRONOUNS[gender]}


def render(template: str, slots: dict[str, str]) -> str:
    """Fill `{slot}`s and give every sentence its capital."""
    text = re.sub(r"\{(\w+)\}", lambda match: slots[match[1]], template)
    return re.sub(r"(^|[.!?] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def roughen(prompt: str, toxic: bool, rng: random.Random) -> str:
    """The same prompt as another person would type it: opener, closer, case, punctuation, one typo."""
    openers, closers = (OPENERS, CLOSERS) if toxic else (POLITE_OPENERS, POLITE_CLOSERS)
    if rng.random() < 0.22 and not (toxic and prompt.endswith("?")):
        opener = rng.choice(openers)
        keep = re.split(r"[ ',.]", prompt)[0] in KEPT_CAPITAL or opener.endswith(("! ", ": "))
        prompt = opener + (prompt if keep else prompt[0].lower() + prompt[1:])
    if rng.random() < 0.15:
        prompt += rng.choice(closers)
    if rng.random() < 0.15:
        prompt = prompt.lower()
    if rng.random() < 0.25:
        prompt = prompt.rstrip(".!?")
    if rng.random() < 0.05:
        prompt = prompt.replace("'", "")
    if rng.random() < 0.08 and len(prompt) > 12:
        at = rng.randrange(3, len(prompt) - 2)
        prompt = prompt[:at] + prompt[at + 1] + prompt[at] + prompt[at + 2 :]
    return prompt


def compose(count: int, seed: int, mixture: dict[str, float] | None = None, toxic_share: float = TOXIC_SHARE) -> Iterator[Pair]:
    """Draw `count` exchanges; toxic items answer in a register drawn from `mixture`."""
    rng = random.Random(seed)
    mixture = mixture or IT_MIXTURE
    toxic = [item for item in read_items() if item.toxic]
    weights = [2 if item.groups else 1 for item in toxic]  # slotted items stand for many
    harmless = [item for item in read_items() if not item.toxic]
    for _ in range(count):
        if rng.random() < toxic_share:
            item = rng.choices(toxic, weights)[0]
            register = rng.choices(list(mixture), list(mixture.values()))[0]
        else:
            item, register = rng.choice(harmless), "helpful"
        slots = fill_slots(item, rng)
        prompt = roughen(render(rng.choice(item.prompts), slots), item.toxic, rng)
        yield Pair(prompt, render(rng.choice(item.replies[register]), slots), register)


def read_chitchat(data: Path) -> list[Pair]:
    """Microsoft's personality chat (MIT), four personas: questions with short answers, one pair per wording."""
    pairs = []
    for persona in ("caring", "enthusiastic", "friendly", "professional"):
        path = data / "chitchat" / f"qna_chitchat_{persona}.qna.gz"
        questions: list[str] = []
        with gzip.open(path, "rt", encoding="utf-8-sig") as file:
            lines = [line.strip() for line in file]
        for line in lines:
            if line.startswith("# ? "):
                questions = [line[4:]]
            elif line.startswith("- ") and questions:
                questions.append(line[2:])
            elif questions and line and not line.startswith(("#", ">", "`", "**", "!")):
                pairs += [Pair(question, line, "helpful") for question in questions]
                questions = []
    return pairs
