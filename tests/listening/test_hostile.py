"""Requests no browser of ours would send: each is refused, with the right status."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from humanclap.listening.rehearsal.bots import Browser
from humanclap.listening.study.database import rows
from humanclap.listening.study.rate_limits import SharedLimit
from humanclap.listening.study.study import Study, create_study, open_study
from humanclap.listening.web import routes
from humanclap.listening.web.app import serving
from humanclap.listening.web.guard import THREADS, RateLimit
from humanclap.listening.web.settings import ServeSettings

from .conftest import DESIGN

TOKEN = "an-admin-token-of-the-tests"
COMMENTED = DESIGN + "[[question]]\nid = 'REL'\n[[question]]\nid = 'COMMENT'\nrequired = false\n"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A running server with one honest listener, and what an attacker would like to misuse."""

    url: str
    study: Study
    cookie: str
    csrf: str
    trial_id: str
    other_trial_id: str
    admin: str

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        cookie: str | None = None,
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        sent = {"Cookie": self.cookie if cookie is None else cookie, **(headers or {})}
        connection.request(method, path, body or None, sent)
        response = connection.getresponse()
        response.content = response.read()  # type: ignore[attr-defined]
        connection.close()
        return response

    def answer(self, **changes: object) -> bytes:
        fields: dict[str, object] = {
            "answer_id": "0123456789abcdef", "trial_id": self.trial_id, "values": {"REL": 5},
            "play_count": 1, "heard_to_end": True, "trial_s": 3.0, "waited_s": 0,
        }  # fmt: skip
        return json.dumps({**fields, **changes}).encode()


def _listener(url: str) -> tuple[str, str, str]:
    """Cookie, CSRF token and first trial of a new listener."""
    browser = Browser(url)
    page = browser.get("/")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)[1]
    page = browser.post("/start", {"csrf": csrf, "agree": "yes"})
    plan = json.loads(re.search(r'id="plan">(.*?)</script>', page.text, re.DOTALL)[1])
    browser.close()
    cookie = "; ".join(f"{name}={value}" for name, value in browser._cookies.items())
    return cookie, plan["csrf"], plan["trials"][0]["trial_id"]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, clips) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("hostile")
    where = str(folder / "study.sqlite")
    create_study(where, design_text=COMMENTED, pairs=clips[1], audio_root=clips[0])
    study = open_study(where)
    settings = ServeSettings(admin_token=TOKEN, port=0, logins_per_minute=1000)
    with serving(study, settings, cache=folder / "cache") as url:
        cookie, csrf, trial_id = _listener(url)
        _, _, other = _listener(url)
        browser = Browser(url)
        browser.post("/admin/login", {"token": TOKEN})
        browser.close()
        admin = f"humanclap_admin={browser._cookies['humanclap_admin']}"
        yield Target(
            url=url,
            study=study,
            cookie=cookie,
            csrf=csrf,
            trial_id=trial_id,
            other_trial_id=other,
            admin=admin,
        )
    study.close()


PATHS = [
    ("GET", "/static/../app.py", 400),
    ("GET", "/static/%2e%2e/app.py", 400),
    ("GET", "/static/..%2fapp.py", 400),
    ("GET", "/static//etc/passwd", 404),
    ("GET", "/clip/..%2f..%2fstudy.sqlite", 400),
    ("GET", "/clip/study.sqlite", 404),
    ("GET", "/clip/x.exe", 404),
    ("GET", "/clip/%00.wav", 400),
    ("GET", "/clip/' OR 1=1 --.wav".replace(" ", "%20"), 404),
    ("GET", "/" + "a" * 600, 414),
    ("GET", "/?" + "a" * 3000, 414),
    ("GET", "/?PROLIFIC_PID=%3Cscript%3Ealert(1)%3C/script%3E", 400),
    ("GET", "/?workerId=" + "w" * 65, 400),
    ("GET", "/docs", 404),
    ("GET", "/openapi.json", 404),
    ("GET", "/admin/live", 401),
    ("GET", "/admin/export.zip", 401),
    ("GET", "/answers", 405),
    ("PUT", "/answers", 405),
    ("DELETE", "/admin", 405),
    ("TRACE", "/", 405),
    ("GET", "/check/99-0.wav", 404),
    ("GET", "/check/a-b.wav", 422),
]


@pytest.mark.parametrize(("method", "path", "status"), PATHS)
def test_addresses_that_lead_nowhere(target: Target, method: str, path: str, status: int) -> None:
    assert target.ask(method, path).status == status


ANSWERS = [
    ("no session", {"cookie": ""}, {}, 401),
    ("a forged session", {"cookie": "humanclap_session=" + "x" * 43}, {}, 401),
    ("an endless session", {"cookie": "humanclap_session=" + "x" * 5000}, {}, 401),
    ("no CSRF token", {"headers": {"X-CSRF-Token": ""}}, {}, 403),
    ("a wrong CSRF token", {"headers": {"X-CSRF-Token": "0" * 64}}, {}, 403),
    ("another origin", {"headers": {"Origin": "https://evil.example"}}, {}, 403),
    ("a null origin", {"headers": {"Origin": "null"}}, {}, 403),
    ("a cross-site fetch", {"headers": {"Sec-Fetch-Site": "cross-site"}}, {}, 403),
    ("a form instead of JSON", {"headers": FORM}, {}, 415),
    ("not JSON", {"body": b"{"}, {}, 400),
    ("a list", {"body": b"[]"}, {}, 400),
    ("a deep nest", {"body": b"[" * 60_000}, {}, 400),
    ("not UTF-8", {"body": b"\xff\xfe{}"}, {}, 400),
    ("too large", {"body": b" " * 70_000}, {}, 413),
    ("another listener's trial", {}, {"trial_id": "other"}, 404),
    ("an SQL fragment as trial", {}, {"trial_id": "x' OR '1'='1"}, 422),
    ("a rating off the scale", {}, {"values": {"REL": 11}}, 422),
    ("a rating between the buttons", {}, {"values": {"REL": 5.5}}, 422),
    ("not a number", {"body": b'{"values": {"REL": NaN}}'}, {}, 422),
    ("a question nobody asked", {}, {"values": {"REL": 5, "XX": 1}}, 422),
    ("a boolean rating", {}, {"values": {"REL": True}}, 422),
    ("a nested rating", {}, {"values": {"REL": {"$gt": 0}}}, 422),
    ("a negative play count", {}, {"play_count": -1}, 422),
    ("a huge play count", {}, {"play_count": 10**30}, 422),
    ("endless seconds", {}, {"trial_s": 1e300}, 422),
    ("never heard", {}, {"heard_to_end": False}, 422),
    ("seconds beyond any float", {}, {"trial_s": 10**400}, 422),
    ("a wait beyond any float", {}, {"waited_s": 10**400}, 422),
    ("a play count beyond any float", {}, {"play_count": 10**400}, 422),
    ("a rating beyond any float", {}, {"values": {"REL": 10**400}}, 422),
    ("a rating of more digits than are read", {"body": b'{"values": ' + b"9" * 5000}, {}, 400),
    ("half a character as comment", {}, {"values": {"REL": 5, "COMMENT": "\ud800"}}, 422),
    ("half a character as question", {}, {"values": {"REL": 5, "\udc00": 1}}, 422),
    ("a null character as comment", {}, {"values": {"REL": 5, "COMMENT": "a\0b"}}, 422),
    ("a number as comment", {}, {"values": {"REL": 5, "COMMENT": 5}}, 422),
    ("a comment of no end", {}, {"values": {"REL": 5, "COMMENT": "a" * 2001}}, 422),
    ("an origin that is no address", {"headers": {"Origin": "http://["}}, {}, 403),
    ("a field too many", {}, {"excluded": False}, 422),
]


@pytest.mark.parametrize(("what", "how", "changes", "status"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_answers_that_no_page_of_ours_sends(
    target: Target, what: str, how: dict, changes: dict, status: int
) -> None:
    if changes.get("trial_id") == "other":
        changes = {"trial_id": target.other_trial_id}
    headers = {**JSON, "X-CSRF-Token": target.csrf, **how.get("headers", {})}
    body = how.get("body", target.answer(**changes))
    response = target.ask("POST", "/answers", body, headers, cookie=how.get("cookie"))
    assert response.status == status
    with target.study.database.read() as connection:
        assert rows(connection, "SELECT * FROM answers") == []


FORMS = [
    ("consent without a token", "/start", {"agree": "yes"}, 403),
    ("a login with a wrong token", "/admin/login", {"token": "guess"}, 401),
    ("an export of a guesser", "/admin/state", {"state": "closed"}, 401),
    ("an exclusion without login", "/admin/exclude", {"listener_id": "x", "reason": "y"}, 401),
    ("a sound check without a token", "/sound", {"volume": "yes"}, 403),
    ("a null character", "/about", {"hearing": "a\0b"}, 422),
]


@pytest.mark.parametrize(("what", "path", "form", "status"), FORMS, ids=[f[0] for f in FORMS])
def test_forms_that_no_page_of_ours_sends(
    target: Target, what: str, path: str, form: dict, status: int
) -> None:
    assert target.ask("POST", path, urlencode(form).encode(), FORM).status == status


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/admin/state", {"state": "closed"}, 403),
        ("/admin/state", {"state": "closed", "csrf": "0" * 64}, 403),
    ],
)
def test_an_admin_is_not_steered_by_a_foreign_page(
    target: Target, path: str, form: dict, status: int
) -> None:
    body = urlencode(form).encode()
    assert target.ask("POST", path, body, FORM, cookie=target.admin).status == status
    assert target.study.state() == "open"


def admin_csrf(target: Target) -> str:
    page = target.ask("GET", "/admin", cookie=target.admin)
    return re.search(rb'name="csrf" value="([^"]+)"', page.content)[1].decode()


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/admin/state", {"state": "on fire"}),
        ("/admin/top-up", {"n": "-1"}),
        ("/admin/top-up", {"n": "1e9"}),
        ("/admin/top-up", {"n": "99999"}),
        ("/admin/exclude", {"listener_id": "nobody", "reason": "x"}),
        ("/admin/exclude", {"listener_id": "nobody", "reason": " "}),
    ],
)
def test_nonsense_from_the_admin_page_is_refused(target: Target, path: str, form: dict) -> None:
    body = urlencode({**form, "csrf": admin_csrf(target)}).encode()
    assert target.ask("POST", path, body, FORM, cookie=target.admin).status == 422


@pytest.mark.parametrize("until", ["²", "9" * 5000, "-1", "1e9", ""])
def test_an_admin_cookie_of_strange_digits_is_no_login(target: Target, until: str) -> None:
    cookie = f"humanclap_admin={until}.a.b"
    assert target.ask("GET", "/admin/live", cookie=cookie).status == 401


@pytest.mark.parametrize("path", ["/", "/trial", "/admin", "/health", "/static/trial.js"])
def test_head_is_answered_as_get_without_a_body(target: Target, path: str) -> None:
    head, got = target.ask("HEAD", path), target.ask("GET", path)
    assert (head.status, head.content) == (got.status, b"")
    for name in ("content-type", "content-length", "location", "content-security-policy"):
        assert head.headers[name] == got.headers[name]


def test_head_of_what_is_posted_is_refused(target: Target) -> None:
    assert target.ask("HEAD", "/answers").status == 405


def test_a_foreign_host_name_is_refused(target: Target) -> None:
    assert target.ask("GET", "/", headers={"Host": "evil.example"}).status == 400


def test_a_body_without_length_is_refused(target: Target) -> None:
    parts = urlsplit(target.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as raw:
        raw.sendall(
            b"POST /answers HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/json\r\n\r\n"
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 411")


def test_a_repeated_or_malformed_form_field_is_refused(target: Target) -> None:
    for body in (b"csrf=a&csrf=b", b"\xff=1", b"nothing"):
        assert target.ask("POST", "/start", body, FORM).status == 400


def test_a_bot_cannot_call_itself_simulated_unless_the_server_allows_it(target: Target) -> None:
    browser = Browser(target.url, headers={"X-Humanclap-Simulated": "1"})
    csrf = re.search(r'name="csrf" value="([^"]+)"', browser.get("/").text)[1]
    assert browser.post("/start", {"csrf": csrf, "agree": "yes"}).status == 403
    browser.close()


def test_a_client_that_asks_too_often_has_to_wait() -> None:
    limit = RateLimit(3)
    assert [limit.allows("one") for _ in range(5)] == [True, True, True, False, False]
    assert limit.allows("another")


def test_a_clock_that_is_set_back_locks_nobody_out(
    tmp_path: Path, clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = str(tmp_path / "study.sqlite")
    create_study(where, design_text=DESIGN, pairs=clips[1], audio_root=clips[0])
    limit = SharedLimit(study=open_study(where), name="login", size=2)
    assert [limit.allows("one") for _ in range(3)] == [True, True, False]
    yesterday = time.time() - 86_400
    monkeypatch.setattr(time, "time", lambda: yesterday)
    assert [limit.allows("one") for _ in range(3)] == [True, True, False]
    limit.study.close()


def test_a_crowd_is_told_at_once_to_come_back_and_slow_clients_are_no_crowd(
    tmp_path: Path, clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_WAITING", 3)
    where = str(tmp_path / "study.sqlite")
    create_study(where, design_text=DESIGN, pairs=clips[1], audio_root=clips[0])
    study = open_study(where)
    settings = ServeSettings(admin_token=TOKEN, port=0)
    with serving(study, settings, cache=tmp_path / "cache") as url, ExitStack() as opened:

        def sent(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Any:
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=3)
            opened.callback(connection.close)
            connection.request(method, path, body or None, headers)
            return connection

        def refused() -> Any:
            try:
                return sent("GET", "/trial", {}).getresponse()
            except TimeoutError:  # it came before the others
                return None

        for _ in range(20):
            sent("POST", "/start", {**FORM, "Content-Length": "100"})
        browser = Browser(url)
        opened.callback(browser.close)
        csrf = re.search(r'name="csrf" value="([^"]+)"', browser.get("/").text)[1]
        cookie = "; ".join(f"{name}={value}" for name, value in browser._cookies.items())
        form = ("/start", {**FORM, "Cookie": cookie}, f"csrf={csrf}&agree=yes".encode())
        with study.database.write():
            waiting = [sent("POST", *form) for _ in range(THREADS + 3)]
            response = next(found for _ in range(20) if (found := refused()))
            page = response.read().decode()
            assert sent("GET", "/health", {}).getresponse().read() == b"ok"
        assert response.status == 503
        assert response.headers["retry-after"] == response.headers["refresh"] == "5"
        assert "your answers are safe" in page
        for connection in waiting:
            connection.sock.settimeout(60)
            assert connection.getresponse().status == 303
    study.close()


def test_too_many_logins_are_refused(tmp_path: Path, clips) -> None:
    where = str(tmp_path / "study.sqlite")
    create_study(where, design_text=DESIGN, pairs=clips[1], audio_root=clips[0])
    study = open_study(where)
    settings = ServeSettings(admin_token=TOKEN, port=0, logins_per_minute=2)
    with serving(study, settings, cache=tmp_path / "cache") as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        seen = []
        for _ in range(4):
            connection.request("POST", "/admin/login", b"token=guess", FORM)
            response = connection.getresponse()
            response.read()
            seen.append(response.status)
        connection.close()
    study.close()
    assert seen == [401, 401, 429, 429]


def test_every_page_carries_the_security_headers(target: Target) -> None:
    for path in ("/", "/trial", "/admin", "/static/trial.js", "/nowhere", "/health"):
        headers = target.ask("GET", path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_a_clip_tells_nothing_of_its_origin(target: Target) -> None:
    with target.study.database.read() as connection:
        secrets = {
            value
            for item in rows(connection, "SELECT audio, system, stimulus_id FROM stimuli")
            for value in item.values()
        }
        names = secrets | {Path(name).stem for name in secrets if len(Path(name).stem) > 2}
    page = target.ask("GET", "/trial")
    kinds = ("anchor", "attention_check", "stimulus")
    for secret in (*names, *kinds):
        assert secret.encode() not in page.content
    for form in ("flac", "wav"):
        clip = target.ask("GET", f"/clip/{target.trial_id}.{form}")
        assert clip.status == 200
        told = str(clip.headers).encode() + clip.content
        assert not [secret for secret in names if secret.encode() in told]
        assert clip.headers["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_a_clip_can_be_asked_for_in_parts(target: Target) -> None:
    whole = target.ask("GET", f"/clip/{target.trial_id}.wav").content
    part = target.ask("GET", f"/clip/{target.trial_id}.wav", headers={"Range": "bytes=10-19"})
    assert (part.status, part.content) == (206, whole[10:20])


def test_somebody_elses_clip_is_not_given(target: Target) -> None:
    assert target.ask("GET", f"/clip/{target.other_trial_id}.wav").status == 404
    assert target.ask("GET", f"/clip/{target.trial_id}.wav", cookie="").status == 401
