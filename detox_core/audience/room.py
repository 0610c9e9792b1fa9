"""Who is in the room: what phones may ask, the blind answers they get, and their votes."""

import hashlib
import math
import random
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from detox_core.errors import BadInput
from detox_core.models.variants import default_family
from detox_core.request import Request, clean_prompt
from detox_core.service import Job, Service
from detox_core.store import Store, recorded
from detox_core.types import Decoding, Generation, Variant, Vote

PORT = 8600  # of the page for phones
LETTERS = ("A", "B", "C")
DECODING = Decoding(max_new_tokens=40)  # short, so that the presenter never waits long
MAX_CHARACTERS = 200
ASKS_A_MINUTE = 12
MAX_LINE = 60  # prompts of visitors' own in line
MAX_VISITORS = 1000  # remembered at once; whoever was silent longest is forgotten first
MAX_PROMPTS = 30  # curated ones
KEPT_JOBS = 100  # answers to curated prompts, those of earlier lists among them


@dataclass
class Rules:
    """What the presenter allows; nothing of it outlives the app.

    Attributes:
        open: whether prompts and votes are taken.
        free_text: whether visitors may type prompts of their own.
        keep_prompts: whether those are kept with their votes.
        prompts: the curated prompts.
    """

    open: bool = True
    free_text: bool = False
    keep_prompts: bool = False
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Ballot:
    """One visitor's blind answers to one prompt.

    Attributes:
        id: the curated prompt, or a random token: which answers these are.
        order: the variants behind A, B and C.
        keep: whether the prompt might be kept when it was asked.
        asked: when, in seconds of the monotonic clock.
    """

    id: str
    prompt: str
    curated: bool
    order: tuple[Variant, ...]
    job: Job
    keep: bool
    asked: float = field(default_factory=time.monotonic)

    def behind(self, letter: str) -> Variant:
        """The variant that a letter stands for."""
        return self.order[LETTERS.index(letter)]

    def replies(self) -> dict[str, Generation | None]:
        """What has been written so far, by letter."""
        comparison = self.job.comparison
        found = [comparison.of(variant.id) if comparison else [] for variant in self.order]
        return {letter: replies[0] if replies else None for letter, replies in zip(LETTERS, found, strict=False)}


@dataclass(frozen=True, slots=True)
class Served:
    """The phones' page while it is up."""

    address: str
    close: Callable[[], None]


@dataclass(eq=False)
class _Visitor:
    token: str
    asked: deque[float] = field(default_factory=lambda: deque(maxlen=ASKS_A_MINUTE))
    ballot: Ballot | None = None


class Room:
    """One model for all phones: a curated prompt is answered once for everybody, a prompt of somebody's own for him alone.

    Args:
        variants: what A, B and C stand for, in some order; by default the paper's three of the default family.
    """

    def __init__(self, service: Service, store: Store, variants: tuple[Variant, ...] | None = None) -> None:
        self.service, self.store = service, store
        self.variants = (variants or default_family())[: len(LETTERS)]
        self.rules = Rules(prompts=tuple(example.prompt for example in recorded().values()))
        self.served: Served | None = None
        self._salt = secrets.token_hex(16)
        self._visitors: OrderedDict[str, _Visitor] = OrderedDict()
        self._curated: OrderedDict[Request, Job] = OrderedDict()
        self._own: list[Job] = []
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Have the curated prompts answered before anybody asks."""
        with self._lock:
            for prompt in self.rules.prompts:
                self._job(prompt, curated=True)

    def ask(self, session: str, prompt: str) -> Ballot:
        """A visitor's prompt: the answers, written or still to be written. Whatever else the visitor waited for is given up.

        Args:
            session: any text that tells this page load from others; it is not kept.

        Raises:
            BadInput: what is wrong, for the visitor.
        """
        if not self.rules.open:
            raise BadInput("The presenter has paused this page. Try again when it goes on.")
        text = _checked(prompt)
        curated = text in self.rules.prompts
        if not curated and not self.rules.free_text:
            raise BadInput("Prompts of your own are not allowed at the moment. Pick one from the list.")
        with self._lock:
            visitor = self._visitor(session)
            _slow_down(visitor.asked)
            name, job = text if curated else secrets.token_hex(8), self._job(text, curated)
            if visitor.ballot and not visitor.ballot.curated:
                self.service.stop(visitor.ballot.job)
            keep = curated or self.rules.keep_prompts
            visitor.ballot = Ballot(name, text, curated, self._order(visitor.token, name), job, keep)
            return visitor.ballot

    def current(self, session: str) -> Ballot | None:
        """The last answers that this visitor asked for."""
        with self._lock:
            return self._visitor(session).ballot

    def vote(self, session: str, letter: str) -> Ballot:
        """The visitor would post what stands under this letter.

        Raises:
            BadInput: nothing to vote on, no such letter, answers that are not complete, or a second vote.
        """
        with self._lock:
            visitor = self._visitor(session)
        ballot = visitor.ballot
        if not self.rules.open:
            raise BadInput("The presenter has paused this page. Votes are not taken at the moment.")
        if ballot is None or (broken(ballot.job) and not ballot.job.active):
            raise BadInput("There is nothing to vote on yet. Ask for answers first.")
        if ballot.job.active:
            raise BadInput("The answers are not complete yet. Vote when they are.")
        if not isinstance(letter, str) or not ballot.replies().get(letter):
            raise BadInput(f"There is no answer {str(letter)[:20]!r}. Vote for one of {', '.join(LETTERS[: len(ballot.order)])}.")
        kept = ballot.prompt if ballot.curated or (ballot.keep and self.rules.keep_prompts) else None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        if not self.store.vote(Vote(visitor.token, ballot.id, kept, ballot.behind(letter).id, letter, now)):
            raise BadInput("You have voted on these answers already. Try another prompt.")
        return ballot

    def voted(self, session: str, ballot: Ballot) -> str | None:
        """The letter that this visitor voted for, if he did."""
        with self._lock:
            token = self._visitor(session).token
        return next((vote.letter for vote in self.store.votes() if (vote.visitor, vote.ballot) == (token, ballot.id)), None)

    def waiting(self) -> int:
        """How many jobs of the audience are not finished."""
        with self._lock:
            return sum(job.active for job in [*self._curated.values(), *self._own])

    def visitors(self) -> int:
        """How many visitors have asked for something."""
        with self._lock:
            return sum(visitor.ballot is not None for visitor in self._visitors.values())

    def _visitor(self, session: str) -> _Visitor:
        if session not in self._visitors:
            token = hashlib.sha256(f"{self._salt}{session}".encode()).hexdigest()[:16]
            self._visitors[session] = _Visitor(token)
            if len(self._visitors) > MAX_VISITORS:
                self._visitors.popitem(last=False)
        self._visitors.move_to_end(session)
        return self._visitors[session]

    def _order(self, token: str, ballot: str) -> tuple[Variant, ...]:
        """Which variant stands under which letter: by chance, and the same whenever this visitor comes back to this prompt."""
        order = list(self.variants)
        random.Random(f"{token}{ballot}").shuffle(order)
        return tuple(order)

    def _job(self, prompt: str, curated: bool) -> Job:
        request = Request(prompt, self.variants, _decoding(prompt) if curated else DECODING)
        if not curated:
            self._own = [job for job in self._own if job.active]
            if len(self._own) >= MAX_LINE:
                raise BadInput(f"{MAX_LINE} prompts are waiting already. Try again in a minute, or pick one from the list.")
            self._own.append(self.service.submit(request, audience=True))
            return self._own[-1]
        job = self._curated.get(request)
        if job is None or (broken(job) and not job.active):
            job = self._curated[request] = self.service.submit(request, audience=True)
            job.watched = math.inf  # everybody's: it is finished even if nobody is waiting
            if len(self._curated) > KEPT_JOBS:
                self._curated.popitem(last=False)
        return job


def _decoding(prompt: str) -> Decoding:
    """A recorded example is answered with its own settings, so that phones read what the stage shows."""
    example = next((one for one in recorded().values() if one.prompt == prompt), None)
    return replace(example.decoding, samples=1) if example else DECODING


def broken(job: Job) -> bool:
    """Whether its answers are not what the next visitor should get: it failed, was stopped, or a variant did not answer."""
    return job.state == "failed" or job.stopping.is_set() or bool(job.comparison and job.comparison.errors)


def _checked(prompt: str) -> str:
    if not isinstance(prompt, str):  # what comes over the network has no type yet
        raise BadInput("A prompt is a text.")
    text = clean_prompt(prompt)
    if len(text) > MAX_CHARACTERS:
        raise BadInput(f"Your prompt has {len(text):,} characters; at most {MAX_CHARACTERS} are read. Shorten it.")
    return text


def _slow_down(asked: deque[float]) -> None:
    now = time.monotonic()
    if len(asked) == ASKS_A_MINUTE and now - asked[0] < 60:
        raise BadInput(f"That was the {ASKS_A_MINUTE + 1}th prompt in a minute. Wait {60 - (now - asked[0]):.0f} seconds.")
    asked.append(now)
