"""Compose conversations from the hand-written corpus: items x prompts x replies x slots x surface noise.

The corpus lies in `corpus/*.yaml`; its format is described in `corpus/README.md`.
"""

import gzip
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from detox_core.score import Scorer
from training_jobs.recipes.echo import claim_of, echo

FOLDER = Path(__file__).parent / "corpus"
LISTS = "lists.yaml"  # values of slots that several items share
REGISTERS = ("hostile", "neutral", "evasive", "counter", "helpful")
# How the untuned model answers a toxic prompt: often hostile, sometimes decent. Tuning has to shift this mixture.
IT_MIXTURE = {"hostile": 0.30, "neutral": 0.24, "evasive": 0.15, "counter": 0.31}
TOXIC_SHARE = 0.62
WEIGHT_OF_SLOTS = 2
MILD = 0.4  # a claim below this toxicity leaves the reply that repeats it as harmless as it was

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
    "Alice", "Beth", "Camila", "Dora", "Elena", "Freya", "Grace", "Hannah", "Irene", "Jane", "Keiko", "Leila", "Molly", "Nora", "Petra",
    "Rachel", "Samira", "Tina", "Vera", "Wendy", "Yasmin", "Jessica", "Lisa", "Brenda",
)  # fmt: skip
HIS_NAMES = (
    "Peter", "Tom", "Marco", "Ahmed", "John", "David", "Lukas", "Ivan", "Carlos", "Kenji", "Paul", "Mike", "Steve", "Omar", "Daniel",
    "Jack", "Felix", "Raj", "Leo", "Victor", "Simon", "Kevin", "Brian", "Ali", "Oscar", "Martin", "George", "Adam", "Hugo", "Bill",
    "Andrew", "Boris", "Chris", "Dennis", "Eric", "Frank", "Gavin", "Henry", "Ian", "Jorge", "Karl", "Liam", "Max", "Nick", "Otto",
    "Pedro", "Robert", "Samir", "Theo", "Yusuf", "Walter", "Jim", "Greg", "Ben",
)  # fmt: skip
IRREGULAR = {"people": "person", "children": "child", "mothers-in-law": "mother-in-law", "bosses": "boss", "women": "woman", "men": "man"}
PRONOUNS = {
    "she": {"he": "she", "him": "her", "his": "her", "himself": "herself", "He": "She", "Him": "Her", "His": "Her"},
    "he": {"he": "he", "him": "him", "his": "his", "himself": "himself", "He": "He", "Him": "Him", "His": "His"},
}


@dataclass(frozen=True)
class Item:
    """One claim or question with its prompts and its replies by register."""

    topic: str
    kind: str
    toxic: bool
    prompts: tuple[str, ...]
    replies: dict[str, tuple[str, ...]]
    slots: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Pair:
    """One composed exchange."""

    prompt: str
    reply: str
    register: str


@dataclass(frozen=True)
class Echoing:
    """How often a reply to a toxic prompt opens with its claim, and which prompts a counter-narrative may repeat."""

    share: float
    mild: frozenset[str]


@dataclass(frozen=True)
class Preference:
    """One composed prompt with a reply to prefer over another."""

    prompt: str
    chosen: str
    rejected: str
    toxic: bool
    kind: str


@cache
def read_items(folder: Path = FOLDER) -> tuple[Item, ...]:
    """All items of the corpus, in file order.

    Raises:
        ValueError: an item lacks a field; names the file and the topic.
    """
    lists = yaml.safe_load((folder / LISTS).read_text(encoding="utf-8"))
    items = []
    for path in sorted(folder.glob("*.yaml")):
        if path.name == LISTS:
            continue
        for raw in yaml.safe_load(path.read_text(encoding="utf-8")):
            replies = {name: tuple(raw[name]) for name in REGISTERS if raw.get(name)}
            if not (raw.get("topic") and raw.get("kind") and raw.get("prompts") and replies and "toxic" in raw):
                raise ValueError(f"{path.name}: the item {raw.get('topic')!r} needs topic, kind, toxic, prompts and replies.")
            slots = {slot: tuple(lists[name]) for slot, name in raw.get("slots", {}).items()}
            if raw.get("groups"):
                slots["group"] = tuple(raw["groups"])
            items.append(Item(raw["topic"], raw["kind"], raw["toxic"], tuple(raw["prompts"]), replies, slots))
    return tuple(items)


@cache
def proper_words() -> frozenset[str]:
    """Words that keep their capital inside a sentence: those that the corpus itself writes so, and names."""
    items = read_items()
    texts = [text for item in items for part in (item.prompts, *item.replies.values(), *item.slots.values()) for text in part]
    inside = {word for text in texts for word in re.findall(r"(?<=[a-z,;] )([A-Z][\w-]*)", text)}
    first = {value.split()[0] for item in items for values in item.slots.values() for value in values if value[0].isupper()}
    return frozenset(inside | first | {"I", *HER_NAMES, *HIS_NAMES})


def fill_slots(item: Item, rng: random.Random) -> dict[str, str]:
    """One choice per slot, of a name and of matching pronouns, shared by a prompt and its reply."""
    gender = rng.choice(("she", "he"))
    name = rng.choice(HER_NAMES if gender == "she" else HIS_NAMES)
    chosen = {slot: rng.choice(values) for slot, values in item.slots.items()}
    return {"name": name, **PRONOUNS[gender], **chosen, **({"one": one_of(chosen["group"])} if "group" in chosen else {})}


def one_of(group: str) -> str:
    """One member of a group, with article: "old people" -> "an old person"."""
    if group.startswith("people "):
        return f"one of the {group}"
    first, space, last = group.rpartition(" ")
    last = IRREGULAR.get(last) or last.removesuffix("s")
    one = f"{first}{space}{last}"
    vowel = one[0].lower() in "aeiou" and not one.lower().startswith(("eu", "uk"))
    return f"{'an' if vowel else 'a'} {one}"


def render(template: str, slots: dict[str, str]) -> str:
    """Fill `{slot}`s and give every sentence its capital."""
    text = re.sub(r"\{(\w+)\}", lambda match: slots[match[1]], template)
    return re.sub(r"(^|[.!?] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def roughen(prompt: str, toxic: bool, rng: random.Random) -> str:
    """The same prompt as another person would type it: opener, closer, case, punctuation, one typo."""
    openers, closers = (OPENERS, CLOSERS) if toxic else (POLITE_OPENERS, POLITE_CLOSERS)
    if rng.random() < 0.22 and not (toxic and prompt.endswith("?")):
        opener = rng.choice(openers)
        keep = re.split(r"[ ',.?!]", prompt)[0] in proper_words() or opener.endswith(("! ", ": "))
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


def compose(
    count: int, seed: int, mixture: dict[str, float] | None = None, toxic_share: float = TOXIC_SHARE, echoing: Echoing | None = None
) -> Iterator[Pair]:
    """Draw `count` exchanges; toxic items answer in a register drawn from `mixture`, some by repeating the claim first."""
    rng = random.Random(seed)
    mixture = mixture or IT_MIXTURE
    for item in _draw_items(count, toxic_share, rng):
        register = rng.choices(list(mixture), list(mixture.values()))[0] if item.toxic else "helpful"
        slots = fill_slots(item, rng)
        template = rng.choice(item.prompts)
        reply = _reply(item, register, template, slots, echoing, rng)
        yield Pair(roughen(render(template, slots), item.toxic, rng), reply, register)


def compose_preferences(count: int, seed: int, toxic_share: float, echoing: Echoing | None = None) -> Iterator[Preference]:
    """Draw `count` prompts with two replies: the counter-narrative over the hostile one, the helpful over one to another question."""
    rng = random.Random(seed)
    harmless = [item for item in read_items() if not item.toxic]
    for item in _draw_items(count, toxic_share, rng):
        slots = fill_slots(item, rng)
        template = rng.choice(item.prompts)
        if item.toxic:
            chosen = _reply(item, "counter", template, slots, echoing, rng)
            rejected = _reply(item, "hostile", template, slots, echoing, rng)
        else:
            other = rng.choice(harmless)
            chosen = _reply(item, "helpful", template, slots, None, rng)
            rejected = render(rng.choice(other.replies["helpful"]), fill_slots(other, rng))
        yield Preference(roughen(render(template, slots), item.toxic, rng), chosen, rejected, item.toxic, item.kind)


def _reply(item: Item, register: str, template: str, slots: dict[str, str], echoing: Echoing | None, rng: random.Random) -> str:
    reply = render(rng.choice(item.replies[register]), slots)
    if echoing is None or not item.toxic or rng.random() >= echoing.share or (register == "counter" and template not in echoing.mild):
        return reply
    claim = claim_of(render(template, slots))
    return reply if claim is None else echo(claim, register, rng) + reply


def mild_prompts(scorer: Scorer) -> frozenset[str]:
    """The prompts whose claim a counter-narrative may repeat: the scorer takes none of three renderings for toxic."""
    rng = random.Random(0)
    toxic = [item for item in read_items() if item.toxic]
    drawn = [(item, template) for item in toxic for template in item.prompts for _ in range(3 if item.slots else 1)]
    rendered = [(template, claim_of(render(template, fill_slots(item, rng)))) for item, template in drawn]
    claims = [(template, f"{claim}?") for template, claim in rendered if claim]
    scores = scorer.score([claim for _, claim in claims])
    harsh = {template for (template, _), score in zip(claims, scores, strict=True) if not score.value < MILD}
    return frozenset(template for template, _ in claims) - harsh


def _draw_items(count: int, toxic_share: float, rng: random.Random) -> Iterator[Item]:
    """Items with slots stand for many and come more often."""
    sides = []
    for toxic in (True, False):
        items = [item for item in read_items() if item.toxic == toxic]
        sides.append((items, [WEIGHT_OF_SLOTS if item.slots else 1 for item in items]))
    for _ in range(count):
        items, weights = sides[0] if rng.random() < toxic_share else sides[1]
        yield rng.choices(items, weights)[0]


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
