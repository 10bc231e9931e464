"""Whose a session is, how long it keeps pairs from others, and when it is over."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from humanclap.errors import InputError
from humanclap.listening.rehearsal.bots import Browser, Reply
from humanclap.listening.results.export import export_recruitment, export_study
from humanclap.listening.results.monitor import overview
from humanclap.listening.study import admin_actions as steering
from humanclap.listening.study.answers import store_answer
from humanclap.listening.study.database import Database, rows, run
from humanclap.listening.study.schema import migrate
from humanclap.listening.study.session_start import Recruit, SessionElsewhereError, start_session
from humanclap.listening.study.session_trials import (
    StudyFullError,
    begin_session,
    pair_load,
    return_to_session,
)
from humanclap.listening.study.sessions import find_session
from humanclap.listening.study.study import Study
from humanclap.listening.web.app import serving
from humanclap.listening.web.guard import RateLimit, client_of
from humanclap.listening.web.settings import ServeSettings

from .conftest import DESIGN, MakeStudy
from .test_answers import answer, answer_all, begun, fall_idle, state_of, trials

TOKEN = "an-admin-token-of-the-tests"
WHO = {"PROLIFIC_PID": "p1", "STUDY_ID": "s1", "SESSION_ID": "x1"}
ASKED = (
    DESIGN
    + """
[[listener.question]]
id = "quiet"
prompt = "Was it quiet?"
choices = ["Yes", "No"]
when = "after"
"""
)


def minutes_pass(study: Study, minutes: float) -> None:
    """Everything that happened is so many minutes longer ago."""
    with study.database.write() as connection:
        for column in ("created_at", "seen_at", "begun_at", "promised_at"):
            run(connection, f"UPDATE sessions SET {column} = {column} - :s", s=60.0 * minutes)


def promised(study: Study) -> int:
    with study.database.read() as connection:
        return sum(pair_load(connection, simulated=False).values())


def count(study: Study, table: str) -> int:
    with study.database.read() as connection:
        return int(rows(connection, f"SELECT COUNT(*) AS n FROM {table}")[0]["n"])


def hidden(page: Reply) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', page.text)[1]


def plan_of(page: Reply) -> dict[str, Any]:
    return dict(json.loads(re.search(r'id="plan">(.*?)</script>', page.text, re.DOTALL)[1]))


def form_of(page: Reply, who: dict[str, str] | None = None) -> dict[str, str]:
    return {"csrf": hidden(page), "agree": "yes", **(who or {})}


def welcome(browser: Browser, who: dict[str, str] | None = None) -> Reply:
    return browser.get("/?" + "&".join(f"{k}={v}" for k, v in (who or {}).items()))


def start(browser: Browser, who: dict[str, str] | None = None) -> Reply:
    return browser.post("/start", form_of(welcome(browser, who), who))


def send(browser: Browser, plan: dict[str, Any], trial_id: str) -> Reply:
    given = {
        "answer_id": f"answer-{trial_id}", "trial_id": trial_id, "values": {"REL": 5},
        "play_count": 1, "heard_to_end": True, "trial_s": 3.0, "waited_s": 0,
    }  # fmt: skip
    headers = {"Content-Type": "application/json", "X-CSRF-Token": plan["csrf"]}
    return browser.request("POST", "/answers", json.dumps(given).encode(), headers)


def send_all(browser: Browser, plan: dict[str, Any]) -> None:
    for trial in plan["trials"]:
        assert send(browser, plan, trial["trial_id"]).status == 201


@pytest.fixture
def served(make_study: MakeStudy, tmp_path: Path) -> Iterator[tuple[Study, str]]:
    study = make_study()
    with serving(study, ServeSettings(admin_token=TOKEN, port=0), cache=tmp_path) as url:
        yield study, url


@pytest.fixture
def browsers(served: tuple[Study, str]) -> Iterator[list[Browser]]:
    several = [Browser(served[1]) for _ in range(3)]
    yield several
    for browser in several:
        browser.close()


# -- whose a session is ---------------------------------------------------------------------


def test_consent_in_two_tabs_of_one_browser_is_one_listener(
    served: tuple[Study, str], browsers: list[Browser]
) -> None:
    study, browser = served[0], browsers[0]
    first, second = welcome(browser), welcome(browser)
    plans = [plan_of(browser.post("/start", form_of(page))) for page in (first, second)]
    assert plans[0] == plans[1]
    assert count(study, "listeners") == count(study, "sessions") == 1
    send_all(browser, plans[0])
    again = browser.post("/start", form_of(second))
    assert 'id="code"' in again.text, "who has finished is shown the code, not given a new session"
    assert count(study, "listeners") == 1


def test_consent_sent_twice_before_the_first_reply_is_one_listener(
    served: tuple[Study, str], browsers: list[Browser]
) -> None:
    """A double click: neither request carries the session's cookie yet."""
    study, one = served[0], browsers[0]
    form = form_of(welcome(one))
    others = [Browser(served[1]) for _ in range(4)]
    tokens: list[str] = []

    def consent(browser: Browser) -> None:
        browser._cookies = {"humanclap_form": one._cookies["humanclap_form"]}
        browser.post("/start", form)
        tokens.append(browser._cookies["humanclap_session"])
        browser.close()

    threads = [threading.Thread(target=consent, args=(browser,)) for browser in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 4
    assert len(set(tokens)) == 1
    assert count(study, "listeners") == count(study, "sessions") == 1


def test_two_workers_at_one_browser_are_two_listeners(
    served: tuple[Study, str], browsers: list[Browser]
) -> None:
    for worker in ("p1", "p2"):
        start(browsers[0], WHO | {"PROLIFIC_PID": worker})
    assert count(served[0], "recruitment") == count(served[0], "sessions") == 2


@pytest.mark.parametrize("submission", ["", "x2", "X1"])
def test_who_knows_a_workers_id_does_not_get_the_session(
    served: tuple[Study, str], browsers: list[Browser], submission: str
) -> None:
    study, (owner, thief, _) = served[0], browsers
    plan = plan_of(start(owner, WHO))
    assert send(owner, plan, plan["trials"][0]["trial_id"]).status == 201
    page = start(thief, WHO | {"SESSION_ID": submission})
    assert (page.status, "humanclap_session" in thief._cookies) == (409, False)
    assert "another browser" in page.text
    assert send(owner, plan, plan["trials"][1]["trial_id"]).status == 201, "not thrown out either"
    minutes_pass(study, 24 * 60)
    assert start(thief, WHO | {"SESSION_ID": submission}).status == 409, "nor a day later"
    assert len(plan_of(owner.get("/go"))["trials"]) == 7


def test_the_submissions_own_link_takes_the_session_to_another_browser(
    served: tuple[Study, str], browsers: list[Browser]
) -> None:
    telephone, desk, _ = browsers
    plan = plan_of(start(telephone, WHO))
    assert send(telephone, plan, plan["trials"][0]["trial_id"]).status == 201
    there = plan_of(start(desk, WHO))
    assert there["queue"] == plan["queue"]
    assert [t["trial_id"] for t in there["trials"]] == [t["trial_id"] for t in plan["trials"][1:]]
    assert send(telephone, plan, plan["trials"][1]["trial_id"]).status == 401
    assert plan_of(start(telephone, WHO))["trials"] == there["trials"], "and back"


def test_a_session_started_in_a_workers_name_and_left_empty_locks_nobody_out(
    served: tuple[Study, str], browsers: list[Browser]
) -> None:
    study, (stranger, worker, _) = served[0], browsers
    start(stranger, WHO | {"SESSION_ID": "made-up"})
    assert start(worker, WHO).status == 409
    minutes_pass(study, 6)
    assert plan_of(start(worker, WHO))["trials"]
    minutes_pass(study, 6)
    assert start(stranger, WHO | {"SESSION_ID": "made-up"}).status == 200, "still empty"
    minutes_pass(study, 6)
    plan = plan_of(start(worker, WHO))
    assert send(worker, plan, plan["trials"][0]["trial_id"]).status == 201
    minutes_pass(study, 6)
    assert start(stranger, WHO | {"SESSION_ID": "made-up"}).status == 409


@pytest.mark.parametrize(
    ("query", "recruit"),
    [
        ({"prolific_pid": "p1", "study_id": "s", "session_id": "x"}, ("prolific", "p1", "x")),
        ({"Prolific_Pid": "p1", "SESSION_ID": "x"}, ("prolific", "p1", "x")),
        ({"workerid": "W1", "HITID": "h", "assignmentID": "a"}, ("mturk", "W1", "a")),
    ],
)
def test_a_sites_parameters_count_in_any_case(
    served: tuple[Study, str], browsers: list[Browser], query: dict, recruit: tuple
) -> None:
    page = welcome(browsers[0], query)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)"', page.text))
    browsers[0].post("/start", {"agree": "yes", **fields})
    with served[0].database.read() as connection:
        [found] = rows(connection, "SELECT site, worker, submission FROM recruitment")
    assert tuple(found.values()) == recruit


def test_a_parameter_given_in_two_ways_is_refused(browsers: list[Browser]) -> None:
    assert browsers[0].get("/?PROLIFIC_PID=p1&prolific_pid=p2").status == 400
    assert browsers[0].get("/?PROLIFIC_PID=p1&prolific_pid=p1").status == 200
    assert "preview" in browsers[1].get(
        "/?workerid=w&assignmentid=ASSIGNMENT_ID_NOT_AVAILABLE"
    ).text  # fmt: skip


def test_a_worker_takes_the_second_session_in_the_same_browser_and_what_waited_counts(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study(DESIGN.replace("pairs = 6", "pairs = 6\nper_listener = 2"))
    with serving(study, ServeSettings(admin_token=TOKEN, port=0), cache=tmp_path) as url:
        browser = Browser(url)
        first = plan_of(start(browser, WHO))
        send_all(browser, first)
        assert 'id="code"' in welcome(browser, WHO).text, "the same submission is over"
        second = plan_of(start(browser, WHO | {"SESSION_ID": "x2"}))
        assert second["queue"] == first["queue"], "one queue for all sessions of a listener"
        steering.top_up(study, 1)
        late = first["trials"][0]["trial_id"]
        assert send(browser, second, late).status == 200, "known already, from either session"
        send_all(browser, second)
        assert start(browser, WHO | {"SESSION_ID": "x3"}).status == 410
        browser.close()
    assert count(study, "listeners") == 1
    export_recruitment(study, tmp_path / "who.csv")
    assert [line.split(",")[3] for line in (tmp_path / "who.csv").read_text().split()] == [
        "submission", "x1", "x2",
    ]  # fmt: skip


def test_an_answer_of_an_earlier_session_is_stored_with_a_later_one(make_study: MakeStudy) -> None:
    study = make_study(DESIGN.replace("pairs = 6", "pairs = 6\nper_listener = 2"))
    who = Recruit(site="prolific", worker="w", submission="1")
    first = begun(study, who)
    left = trials(study, first)
    for trial in left[:-1]:
        store_answer(study, first, answer(trial))
    with study.database.write() as connection:
        run(connection, "UPDATE sessions SET state = 'finished'")
    second = begun(study, Recruit(site="prolific", worker="w", submission="2"))
    assert second.session_id != first.session_id
    assert store_answer(study, second, answer(left[-1])) == "stored"
    assert store_answer(study, begun(study), answer(left[-1])) == "unknown"


def test_older_studies_keep_the_submissions_their_sessions_were_started_for(
    tmp_path: Path,
) -> None:
    database = Database(str(tmp_path / "old.sqlite"))
    with database.write() as connection:
        migrate(connection, up_to=3)
        run(connection, "INSERT INTO listeners VALUES ('l', 0, 0, NULL, 1.0)")
        run(connection, "INSERT INTO recruitment VALUES ('l', 'prolific', 'w', 't', 'x')")
        run(
            connection,
            "INSERT INTO sessions VALUES ('s','h','l','1','active','C',1,1,NULL,NULL,0,NULL)",
        )
        migrate(connection)
        found = rows(connection, "SELECT * FROM submissions")
    database.close()
    assert found == [{"session_id": "s", "task": "t", "submission": "x"}]


# -- how long it keeps pairs from others ----------------------------------------------------


def test_a_session_that_answers_nothing_keeps_its_pairs_for_minutes_however_often_it_loads(
    make_study: MakeStudy,
) -> None:
    study = make_study()
    silent, busy = begun(study), begun(study)
    store_answer(study, busy, answer(trials(study, busy)[0]))
    assert promised(study) == 12
    for _ in range(3):
        minutes_pass(study, 2)
        return_to_session(study, silent)
        return_to_session(study, busy)
    begun(study)
    with study.database.read() as connection:
        states = {s["session_id"]: s["state"] for s in rows(connection, "SELECT * FROM sessions")}
    assert states[silent.session_id] == "expired"
    assert states[busy.session_id] == "active"
    assert promised(study) == 12
    assert store_answer(study, silent, answer(trials(study, silent)[0])) == "stored"
    assert state_of(study, silent) == "active", "back by answering, without loading a page"
    assert {trial["state"] for trial in trials(study, silent)} == {"open", "answered"}


def test_long_clips_are_heard_out_before_pairs_go_to_others(
    make_study: MakeStudy,
) -> None:
    study = make_study()
    begun(study)
    with study.database.write() as connection:
        run(connection, "UPDATE stimuli SET duration_s = 600 WHERE position = 0")
    minutes_pass(study, 14)
    begun(study)
    assert promised(study) == 12
    minutes_pass(study, 2)
    begun(study)
    assert promised(study) == 12


def test_one_address_cannot_hold_every_pair(make_study: MakeStudy, tmp_path: Path) -> None:
    """Five starts a minute: five sessions hold pairs, whatever was started or banked before."""
    study = make_study(DESIGN.replace("ratings_per_pair = 2", "ratings_per_pair = 50"))
    settings = ServeSettings(admin_token=TOKEN, port=0, starts_per_minute=5)
    with serving(study, settings, cache=tmp_path) as url:
        statuses = []
        for _ in range(8):
            token, _session = start_session(study)  # banked, as by weeks of patience
            browser = Browser(url)
            browser._cookies["humanclap_session"] = token
            statuses.append(browser._once("GET", "/go", b"", {}).status)
            browser.close()
    assert statuses == [303] * 5 + [429] * 3
    assert promised(study) == 5 * 6


def test_a_lost_session_is_told_that_the_study_is_full_not_given_anchors_alone(
    make_study: MakeStudy,
) -> None:
    study = make_study(DESIGN.replace("ratings_per_pair = 2", "ratings_per_pair = 1"), n_pairs=6)
    lost = begun(study)
    fall_idle(study, lost)
    answer_all(study, begun(study))
    with pytest.raises(StudyFullError, match="taken over"):
        return_to_session(study, lost)


def test_limits_count_an_ipv6_site_as_one_client() -> None:
    def client(address: str) -> str:
        return client_of({"client": (address, 1)})

    assert client("2001:db8:1:2::1") == client("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert client("2001:db8:1:3::1") != client("2001:db8:1:2::1")
    assert client("::ffff:10.0.0.1") == client("10.0.0.1") == "10.0.0.1"
    assert client_of({"client": None}) == "?"
    assert client("testclient") == "testclient"


def test_a_limit_of_minutes_refills_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    limit = RateLimit(5, minutes=5.0)
    assert [limit.allows("a") for _ in range(6)] == [True] * 5 + [False]
    now += 59.0
    assert not limit.allows("a")
    now += 2.0
    assert limit.allows("a"), "asking in vain meanwhile does not put it off"
    assert not limit.allows("a")


# -- when it is over ------------------------------------------------------------------------


def test_an_excluded_listener_gets_no_sound_and_no_code_and_may_not_come_again(
    served: tuple[Study, str], browsers: list[Browser]
) -> None:
    study, (browser, other, _) = served[0], browsers
    plan = plan_of(start(browser, WHO))
    assert send(browser, plan, plan["trials"][0]["trial_id"]).status == 201
    steering.exclude_listener(study, overview(study).listeners[0].listener_id, "careless")
    late = send(browser, plan, plan["trials"][1]["trial_id"])
    assert (late.status, json.loads(late.body)["over"]) == (201, True), "kept, and told"
    assert browser.get(f"/clip/{plan['trials'][2]['trial_id']}.flac").status == 410
    for trial in plan["trials"][2:]:
        send(browser, plan, trial["trial_id"])
    for path in ("/", "/go", "/trial", "/about", "/after", "/sound", "/done"):
        page = browser.get(path)
        assert page.status == 410
        assert 'id="code"' not in page.text
    assert start(other, WHO).status == 410
    assert start(other, WHO | {"SESSION_ID": "x2"}).status == 410
    view = overview(study)
    assert view.sessions == {"expired": 1}
    assert (view.ratings_answered, view.ratings_promised) == (0, 0)
    assert view.set_aside == {"excluded": len(plan["trials"]) - 1, "practice": 1}


def test_who_is_excluded_after_the_last_sound_has_no_code_until_reinstated(
    served: tuple[Study, str], browsers: list[Browser]
) -> None:
    study, browser = served[0], browsers[0]
    send_all(browser, plan_of(start(browser)))
    listener = overview(study).listeners[0].listener_id
    steering.exclude_listener(study, listener, "asked to")
    assert 'id="code"' not in browser.get("/done").text
    steering.reinstate_listener(study, listener)
    assert 'id="code"' in browser.get("/done").text


def test_a_reinstated_listener_goes_on_with_what_was_left(
    served: tuple[Study, str], browsers: list[Browser]
) -> None:
    study, browser = served[0], browsers[0]
    plan = plan_of(start(browser))
    send(browser, plan, plan["trials"][0]["trial_id"])
    listener = overview(study).listeners[0].listener_id
    steering.exclude_listener(study, listener, "by mistake")
    steering.reinstate_listener(study, listener)
    assert plan_of(browser.get("/"))["trials"] == plan["trials"][1:]


def test_a_session_without_its_last_questions_counts_as_finished_but_has_no_code_yet(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study(ASKED)
    with serving(study, ServeSettings(admin_token=TOKEN, port=0), cache=tmp_path) as url:
        browser = Browser(url)
        plan = plan_of(start(browser))
        send_all(browser, plan)
        assert overview(study).sessions == {"finished": 1}
        assert export_study(study, tmp_path / "out", finished_only=True).ratings == 8
        assert export_study(study, tmp_path / "out").set_aside == {"practice": 1}
        minutes_pass(study, 24 * 60)
        page = browser.get("/done")
        assert "Was it quiet?" in page.text
        assert "code" not in page.text
        page = browser.post("/after", {"csrf": hidden(page), "quiet": "Yes"})
        assert 'id="code"' in page.text
        browser.close()


def test_the_recruitment_export_says_who_was_excluded(
    served: tuple[Study, str], browsers: list[Browser], tmp_path: Path
) -> None:
    study = served[0]
    for browser, worker in zip(browsers[:2], ("p1", "p2"), strict=True):
        start(browser, WHO | {"PROLIFIC_PID": worker})
    with study.database.read() as connection:
        [listener] = rows(connection, "SELECT listener_id FROM recruitment WHERE worker = 'p2'")
    steering.exclude_listener(study, listener["listener_id"], "careless")
    export_recruitment(study, tmp_path / "who.csv")
    lines = [line.split(",") for line in (tmp_path / "who.csv").read_text().split()]
    excluded = lines[0].index("excluded")
    assert {line[1]: line[excluded] for line in lines[1:]} == {"p1": "0", "p2": "1"}


def test_a_token_of_before_stays_valid_and_a_second_session_of_it_is_the_same(
    make_study: MakeStudy,
) -> None:
    study = make_study()
    token, session = start_session(study, token="t" * 64)
    assert start_session(study, token="t" * 64) == (token, session)
    with study.database.read() as connection:
        assert find_session(connection, token) == session
    begin_session(study, session)
    recruit = Recruit(site="mturk", worker="w", submission="a")
    start_session(study, recruit=recruit)
    with pytest.raises(SessionElsewhereError):
        start_session(study, recruit=Recruit(site="mturk", worker="w"))
    steering.change_state(study, "paused")
    with pytest.raises(InputError, match="paused"):
        start_session(study)
