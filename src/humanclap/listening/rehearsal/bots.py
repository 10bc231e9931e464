"""Bots: simulated listeners that take a session by the same pages and addresses as a browser."""

from __future__ import annotations

import http.client
import io
import json
import random
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

import soundfile

from humanclap.errors import HumanCLAPError
from humanclap.listening.design.listener_questions import ListenerQuestion
from humanclap.listening.study.session_length import trial_seconds
from humanclap.listening.web.listener import SIMULATED_HEADER

TIMEOUT_S = 30.0
RETRIES = 16
RETRY_S = 0.5
RETRY_MOST_S = 4.0
"""Waits double from the first to the longest, as those of the trial page do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardByBot:
    """A trial as a listener gets it: its clips (bytes) and its texts, in the page's order."""

    clips: tuple[bytes, ...]
    texts: tuple[str, ...]


Rate = Callable[[HeardByBot], Mapping[str, float | str]]
"""What a bot answers to a trial."""
Think = Callable[[], float]
"""Seconds between two answers."""


class BotError(HumanCLAPError):
    """The server did something that no browser could go on from."""


class TurnedAwayError(BotError):
    """The study wants no more listeners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Browser:
    """A connection with cookies; it comes again when the server was away."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BotError(f"{url!r} is not an address")
        self._https = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._headers = dict(headers or {})
        self._cookies: dict[str, str] = {}
        self._connection: http.client.HTTPConnection | None = None
        self.exchange_s = 0.0

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One exchange; tried again while the server cannot be reached or is too busy."""
        for again in range(RETRIES):
            start = time.perf_counter()
            try:
                reply = self._once(method, self._prefix + path, body, headers or {})
            except (OSError, http.client.HTTPException):
                self.close()
            else:
                if reply.status not in (429, 502, 503):
                    self.exchange_s = time.perf_counter() - start
                    return reply
            time.sleep(min(RETRY_S * 2 ** min(again, 9), RETRY_MOST_S) * random.uniform(0.5, 1.5))
        raise BotError(f"{method} {path}: the server does not answer")

    def _once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=TIMEOUT_S)
        sent = {**self._headers, **headers}
        if self._cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._connection.request(method, path, body if method == "POST" else None, sent)
        response = self._connection.getresponse()
        content = response.read()
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return Reply(status=response.status, headers=dict(response.headers), body=content)

    def get(self, path: str) -> Reply:
        """GET, following redirects within the site."""
        return self._followed(self.request("GET", path))

    def post(self, path: str, form: Mapping[str, str]) -> Reply:
        """POST a form, following redirects."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._followed(self.request("POST", path, urlencode(form).encode(), kind))

    def _followed(self, reply: Reply) -> Reply:
        for _ in range(10):
            if reply.status not in (302, 303, 307):
                return reply
            place = reply.headers.get("Location", reply.headers.get("location", "/"))
            reply = self.request("GET", place.removeprefix(self._prefix))
        raise BotError("the server redirects without end")

    def close(self) -> None:
        """Drop the connection; the cookies stay."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotTiming:
    """How long one answer took to be acknowledged.

    seconds: from the first try on, with the waiting for an absent server; exchange_s: of the
    acknowledged exchange alone.
    """

    seconds: float
    exchange_s: float
    status: int
    answer_id: str


def bot_session(url: str, **listener: Any) -> Iterator[BotTiming]:
    """A bot's way through the study at an address, in a browser of its own; marked as simulated.

    listener: what `Bot` takes.
    """
    browser = Browser(url, headers={SIMULATED_HEADER: "1"})
    try:
        yield from Bot(browser, **listener).take_part()
    finally:
        browser.close()


class Bot:
    """One simulated listener."""

    def __init__(
        self,
        browser: Browser,
        *,
        rate: Rate,
        questions: tuple[ListenerQuestion, ...] = (),
        think: Think = lambda: 0.0,
        recruit: Mapping[str, str] | None = None,
        leave_after: int = 0,
    ) -> None:
        """leave_after: answers after which the browser is closed and opened again (0: never)."""
        self._leave_after = leave_after
        self._browser = browser
        self._rate = rate
        self._questions = questions
        self._think = think
        self._recruit = dict(recruit or {})

    def take_part(self) -> Iterator[BotTiming]:
        """Go through the whole study; yields after each acknowledged answer.

        Raises TurnedAwayError where no pair is left, BotError where the server misbehaves.
        """
        query = f"?{urlencode(self._recruit)}" if self._recruit else ""
        page = _welcome(self._browser.get(f"/{query}"))
        page = self._send(page, "/start", {"agree": "yes", **self._recruit})
        page = self._fill_in(page, "before")
        if '/sound"' in page.text:
            rows = {f"row{number}": "0" for number in range(6)}
            page = self._send(page, "/sound", {"volume": "yes", **rows})
        dealt_with: set[str] = set()
        while (plan := _plan(page)) is not None:
            if not dealt_with.isdisjoint(trial["trial_id"] for trial in plan["trials"]):
                raise BotError("a sound is asked again that was answered")
            for trial in plan["trials"]:
                answered = self._answer(plan, trial)
                dealt_with.add(trial["trial_id"])
                if answered is not None:
                    yield answered
                if len(dealt_with) == self._leave_after:
                    self._browser.close()
                    break
            page = _welcome(self._browser.get("/go"))
        page = self._fill_in(page, "after")
        if 'id="code"' not in page.text:
            raise BotError(f"no completion code at the end (status {page.status})")

    def _send(self, page: Reply, path: str, form: Mapping[str, str]) -> Reply:
        """Post the form of a page."""
        found = re.search(r'name="csrf" value="([^"]*)"', page.text)
        if found is None:
            raise BotError(f"the page holds no field 'csrf' (status {page.status})")
        return _welcome(self._browser.post(path, {"csrf": unescape(found[1]), **form}))

    def _fill_in(self, page: Reply, when: str) -> Reply:
        path = "/about" if when == "before" else "/after"
        asked = [question for question in self._questions if question.when == when]
        if not asked or f'{path}"' not in page.text:
            return page
        form = {question.id: (question.choices or ("simulated",))[0] for question in asked}
        return self._send(page, path, form)

    def _answer(self, plan: Mapping[str, Any], trial: Mapping[str, Any]) -> BotTiming | None:
        """Hear and answer; None where a clip is left out."""
        clips = []
        for sound in trial["sounds"]:
            clip = self._browser.get(f"/clip/{sound}.flac")
            if clip.status == 410:
                return None
            if clip.status != 200:
                raise BotError(f"a clip is answered with {clip.status}")
            clips.append(clip.body)
        heard = HeardByBot(clips=tuple(clips), texts=tuple(trial["texts"]))
        time.sleep(self._think())
        answer: dict[str, Any] = {
            "answer_id": secrets.token_hex(16),
            "trial_id": trial["trial_id"],
            "values": dict(self._rate(heard)),
            "play_count": 1,
            "heard_to_end": True,
            "trial_s": round(_person_s(heard, plan), 3),
            "waited_s": 0.0,
        }
        if len(clips) > 1:
            answer["play_count_second"] = 1
        headers = {"Content-Type": "application/json", "X-CSRF-Token": plan["csrf"]}
        start = time.perf_counter()
        reply = self._browser.request("POST", "/answers", json.dumps(answer).encode(), headers)
        if reply.status not in (200, 201):
            raise BotError(f"an answer is refused with {reply.status}: {reply.text}")
        return BotTiming(
            seconds=time.perf_counter() - start,
            exchange_s=self._browser.exchange_s,
            status=reply.status,
            answer_id=answer["answer_id"],
        )


def _person_s(heard: HeardByBot, plan: Mapping[str, Any]) -> float:
    """Seconds that a person would need for a trial whose clips were served as these bytes."""
    clips_s = sum(float(soundfile.info(io.BytesIO(clip)).duration) for clip in heard.clips)
    n_rated = sum(question["rated"] for question in plan["questions"])
    return trial_seconds(clips_s, " ".join(heard.texts), n_rated)


def _welcome(page: Reply) -> Reply:
    """The page, unless it says that the study wants no more listeners."""
    if page.status == 409:
        raise TurnedAwayError("the study is full")
    return page


def _plan(page: Reply) -> dict[str, Any] | None:
    found = re.search(r'id="plan">(.*?)</script>', page.text, re.DOTALL)
    return None if found is None else dict(json.loads(found[1]))
