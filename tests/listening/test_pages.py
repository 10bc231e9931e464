"""The pages as a browser without eyes sees them: who comes in, what is asked, what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from humanclap.errors import SettingsError
from humanclap.listening.design import headphones
from humanclap.listening.rehearsal.bots import Bot, Browser, Reply
from humanclap.listening.study import admin_actions as steering
from humanclap.listening.study.database import rows
from humanclap.listening.study.study import Study
from humanclap.listening.web.app import serving
from humanclap.listening.web.settings import ServeSettings

from .conftest import DESIGN, MakeStudy

TOKEN = "an-admin-token-of-the-tests"


@contextmanager
def browsing(study: Study, cache: Path, **settings: object) -> Iterator[Browser]:
    given = {"admin_token": TOKEN, "port": 0, **settings}
    with serving(study, ServeSettings(**given), cache=cache) as url:
        browser = Browser(url)
        yield browser
        browser.close()


def hidden(page: Reply) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', page.text)[1]


def start(browser: Browser, query: dict[str, str] | None = None) -> Reply:
    address = "/?" + "&".join(f"{k}={v}" for k, v in (query or {}).items())
    page = browser.get(address)
    return browser.post("/start", {"csrf": hidden(page), "agree": "yes", **(query or {})})


def session_of(study: Study) -> dict:
    with study.database.read() as connection:
        return rows(connection, "SELECT * FROM sessions ORDER BY created_at DESC")[0]


def right_answers(study: Study) -> dict[str, str]:
    session = session_of(study)
    order = headphones.rows_of(f"{session['seed']}:{session['headphone_tries']}")
    return {f"row{n}": str(row.index("quiet")) for n, row in enumerate(order)}


def wrong_answers(study: Study) -> dict[str, str]:
    return {name: str((int(place) + 1) % 3) for name, place in right_answers(study).items()}


REQUIRE = DESIGN.replace(
    "volume_check = false", 'volume_check = false\nheadphone_check = "require"'
)


def test_headphones_are_heard_out_and_a_second_try_is_given(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study(REQUIRE)
    with browsing(study, tmp_path) as browser:
        page = start(browser)
        assert page.text.count('data-plays="row') == 6
        assert browser.get("/check/0-0.wav").headers["content-type"] == "audio/wav"
        page = browser.post("/sound", {"csrf": hidden(page), **wrong_answers(study)})
        assert "try once more" in page.text
        page = browser.post("/sound", {"csrf": hidden(page), **right_answers(study)})
        assert 'id="plan"' in page.text
        assert session_of(study)["headphone_right"] == 6


def test_a_headphone_check_sent_twice_by_a_double_click_is_one_try(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study(REQUIRE)
    with browsing(study, tmp_path) as browser:
        page = start(browser)
        form = {"csrf": hidden(page), "try": "0", **wrong_answers(study)}
        assert 'name="try" value="0"' in page.text
        for _ in range(2):
            page = browser.post("/sound", form)
            assert "try once more" in page.text
        assert session_of(study)["headphone_tries"] == 1
        page = browser.post("/sound", form | {"try": "1"} | right_answers(study))
        assert 'id="plan"' in page.text
        assert 'id="plan"' in browser.post("/sound", form).text, "a late copy changes nothing"


def test_who_fails_twice_where_headphones_are_needed_is_thanked_and_holds_no_pairs(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study(REQUIRE)
    with browsing(study, tmp_path) as browser:
        page = start(browser)
        for _ in range(2):
            page = browser.post("/sound", {"csrf": hidden(page), **wrong_answers(study)})
        assert "needs headphones" in page.text
        assert "needs headphones" in browser.get("/").text
    with study.database.read() as connection:
        assert rows(connection, "SELECT * FROM trials") == []


def test_a_missing_part_of_the_sound_check_is_asked_for(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study(DESIGN.replace("volume_check = false", 'headphone_check = "record"'))
    heard = {"volume": "yes"}
    with browsing(study, tmp_path) as browser:
        page = start(browser)
        token = {"csrf": hidden(page)}
        assert browser.post("/sound", {**token, **heard, "row0": "1"}).status == 422
        assert browser.post("/sound", {**token, **wrong_answers(study)}).status == 422
        assert browser.post("/sound", {**token, **heard, **wrong_answers(study)}).status == 200
        assert session_of(study)["state"] == "active"


def test_a_recruited_listener_resumes_in_another_browser(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study()
    who = {"PROLIFIC_PID": "p1", "STUDY_ID": "s1", "SESSION_ID": "x1"}
    with browsing(study, tmp_path) as browser:
        first = start(browser, who)
        other = Browser(f"http://127.0.0.1:{browser._port}")
        second = start(other, who)
        ids = [
            [trial["trial_id"] for trial in json.loads(plan)["trials"]]
            for page in (first, second)
            for plan in re.findall(r'id="plan">(.*?)</script>', page.text)
        ]
        assert ids[0] == ids[1]
        other.close()
    with study.database.read() as connection:
        [row] = rows(connection, "SELECT * FROM recruitment")
    assert (row["site"], row["worker"], row["submission"]) == ("prolific", "p1", "x1")


def test_a_preview_of_mturk_starts_nothing(make_study: MakeStudy, tmp_path: Path) -> None:
    with browsing(make_study(), tmp_path) as browser:
        page = browser.get("/?workerId=w&assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=h")
        assert "preview" in page.text
        assert "<form" not in page.text


def test_a_paused_study_says_so_and_goes_on_later(make_study: MakeStudy, tmp_path: Path) -> None:
    study = make_study()
    with browsing(study, tmp_path) as browser:
        assert start(browser).status == 200
        steering.change_state(study, "paused")
        assert browser._once("GET", "/trial", b"", {}).status == 503
        steering.change_state(study, "open")
        assert 'id="plan"' in browser.get("/trial").text
        steering.change_state(study, "closed")
        assert browser.get("/trial").status == 410


def test_each_listener_gets_a_code_of_their_own_where_none_is_set(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study()
    codes = set()
    for _ in range(2):
        with browsing(study, tmp_path) as browser:
            answers = list(Bot(browser, rate=lambda heard: {"REL": 5.0}).take_part())
            assert len(answers) == 9
            assert {answer.status for answer in answers} == {201}
            codes.add(re.search(r'id="code">([0-9A-F]{8})<', browser.get("/done").text)[1])
    assert len(codes) == 2


def test_behind_a_proxy_every_address_has_the_prefix_and_cookies_are_secure(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    public = "https://listen.example.org/study"
    with browsing(make_study(), tmp_path, public_url=public) as browser:
        host = {"Host": "listen.example.org"}
        page = browser._once("GET", "/", b"", host)
        assert 'action="/study/start"' in page.text
        assert 'href="/study/static/style.css"' in page.text
        assert page.headers["strict-transport-security"]
        cookie = page.headers["set-cookie"]
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        assert "Path=/study" in cookie
        form = f"csrf={hidden(page)}&agree=yes".encode()
        sent = {"Content-Type": "application/x-www-form-urlencoded", **host}
        reply = browser._once(
            "POST", "/start", form, {**sent, "Origin": "https://listen.example.org"}
        )
        assert (reply.status, reply.headers["location"]) == (303, "/study/go")
        reply = browser._once("POST", "/start", form, {**sent, "Origin": "https://other.example"})
        assert reply.status == 403


def test_the_first_page_says_what_one_agrees_to(make_study: MakeStudy, tmp_path: Path) -> None:
    design = 'pay = "2 <GBP>"\ncontact = "ask@example.org"\nminutes = 7\n' + DESIGN
    with browsing(make_study(design), tmp_path) as browser:
        page = browser.get("/").text
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert facts == {
        "Sounds": "9 (practice: 1)",
        "Time": "about 7 min",
        "Pay": "2 &lt;GBP&gt;",
        "Contact": "ask@example.org",
    }


def test_a_study_that_needs_headphones_says_so_before_consent(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    with browsing(make_study(REQUIRE), tmp_path) as browser:
        page = browser.get("/").text
    assert "<dt>You need</dt><dd>headphones" in page
    assert "<dt>Pay</dt>" not in page, "what is not known is not said"


def test_the_page_of_sounds_knows_the_answer_that_may_be_changed(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study()

    def plan(page: Reply) -> dict:
        return json.loads(re.search(r'id="plan">(.*?)</script>', page.text, re.DOTALL)[1])

    with browsing(study, tmp_path) as browser:
        given = plan(start(browser))
        assert given["last"] is None
        answer = {
            "answer_id": "0123456789abcdef", "trial_id": given["trials"][0]["trial_id"],
            "values": {"REL": 4}, "play_count": 2, "heard_to_end": True, "trial_s": 3.5,
            "waited_s": 0,
        }  # fmt: skip
        headers = {"Content-Type": "application/json", "X-CSRF-Token": given["csrf"]}

        def send(**changes: object) -> int:
            body = json.dumps({**answer, **changes}).encode()
            return browser._once("POST", "/answers", body, headers).status

        assert send() == 201
        last = plan(browser.get("/trial"))["last"]
        assert (last["trial_id"], last["number"]) == (answer["trial_id"], 1)
        assert (last["values"], last["play_count"], last["trial_s"]) == ({"REL": 4}, 2, 3.5)
        assert send(answer_id="b" * 16, values={"REL": 5}, revises=last["answer_id"]) == 201
        assert send(answer_id="c" * 16, values={"REL": 6}, revises=last["answer_id"]) == 409
        assert send(answer_id="d" * 16, values={"REL": 6}, revises="x' OR '1'='1") == 422
        assert send(answer_id="e" * 16, values={"REL": 6}, revises=7) == 422
        assert plan(browser.get("/trial"))["last"]["values"] == {"REL": 5}


def test_a_study_in_japanese_speaks_japanese(make_study: MakeStudy, tmp_path: Path) -> None:
    with browsing(make_study('language = "ja"\n' + DESIGN), tmp_path) as browser:
        page = browser.get("/")
        assert '<html lang="ja">' in page.text
        assert "始める" in page.text


def test_a_five_point_scale_and_own_words_reach_the_page(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    design = DESIGN + (
        "[scale]\nlow = 1\nhigh = 5\n[[question]]\nid = 'REL'\nprompt = 'Passt <es>?'\n"
        "low_label = 'gar nicht'\n"
    )
    with browsing(make_study(design), tmp_path) as browser:
        page = start(browser)
        assert re.findall(r'type="radio" name="REL" value="(\d+)"', page.text) == list("12345")
        assert "Passt &lt;es&gt;?" in page.text
        assert "1 = gar nicht" in page.text


@pytest.mark.parametrize(
    "settings",
    [
        {"admin_token": "short"},
        {"public_url": "ftp://x"},
        {"port": 70000},
        {"starts_per_minute": 0},
    ],
)
def test_settings_that_cannot_serve_are_refused(settings: dict) -> None:
    with pytest.raises(SettingsError):
        ServeSettings(**{"admin_token": TOKEN, **settings})


def test_a_taken_port_is_a_message(make_study: MakeStudy, tmp_path: Path) -> None:
    from humanclap.errors import InputError

    study = make_study()
    with (
        browsing(study, tmp_path) as browser,
        pytest.raises(InputError, match="another --port"),
        serving(study, ServeSettings(admin_token=TOKEN, port=browser._port), cache=tmp_path),
    ):
        pass
