"""The researcher's page by HTTP, and what the server believes of a proxy."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from humanclap.listening.rehearsal.bots import Bot, Browser
from humanclap.listening.results.monitor import overview
from humanclap.listening.study.database import rows, run
from humanclap.listening.study.session_start import start_session
from humanclap.listening.study.session_trials import begin_session
from humanclap.listening.study.study import Study, stimuli_of
from humanclap.listening.web.app import serving
from humanclap.listening.web.settings import ServeSettings

from .conftest import MakeStudy

TOKEN = "an-admin-token-of-the-tests"


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return make_study()


@pytest.fixture
def admin(study: Study, tmp_path: Path) -> Iterator[Browser]:
    """A researcher who has logged in, in a study that one listener has finished."""
    with serving(study, ServeSettings(admin_token=TOKEN, port=0), cache=tmp_path) as url:
        listener = Browser(url)
        assert len(list(Bot(listener, rate=lambda heard: {"REL": 9.0}).take_part())) == 9
        listener.close()
        browser = Browser(url)
        assert browser.post("/admin/login", {"token": TOKEN}).status == 200
        yield browser
        browser.close()


def act(admin: Browser, deed: str, **form: str) -> int:
    csrf = re.search(r'name="csrf" value="([^"]+)"', admin.get("/admin").text)[1]
    return admin.post(f"/admin/{deed}", {"csrf": csrf, **form}).status


def test_listeners_are_excluded_and_reinstated_with_a_reason(admin: Browser, study: Study) -> None:
    listener = overview(study).listeners[0].listener_id
    assert "anchors" in admin.get("/admin").text
    assert act(admin, "exclude", listener_id=listener, reason="rates anchors <high>") == 200
    assert "excluded: rates anchors &lt;high&gt;" in admin.get("/admin/live").text
    assert overview(study).ratings_answered == 0
    assert act(admin, "reinstate", listener_id=listener) == 200
    assert overview(study).ratings_answered == 6


def test_a_top_up_is_seen_at_once(admin: Browser, study: Study) -> None:
    assert act(admin, "top-up", n="5", system="beta") == 200
    assert {pair.wanted for pair in overview(study).pairs if pair.system == "beta"} == {7}
    assert "/ 56</td>" in admin.get("/admin").text


def test_the_archive_holds_every_file_of_the_export(admin: Browser) -> None:
    reply = admin.get("/admin/export.zip")
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        assert set(archive.namelist()) >= {"ratings.csv", "set_aside.csv", "export.json"}
        assert archive.read("ratings.csv").count(b"\n") == 1 + 8
    assert admin.get("/admin/export.zip?simulated=1").status == 409


def test_drop_outs_the_median_time_and_the_first_page_are_seen(
    admin: Browser, study: Study
) -> None:
    page = admin.get("/admin").text
    assert '<dt>Dropped out</dt><dd>0 <span class="soft">of 1 who agreed' in page
    assert re.search(r"consent to the last sound, median</dt><dd>\d+\.\d ", page)
    assert "The first page says: 9 sounds, about 1 min (from the lengths of the clips" in page
    assert "whom to ask (contact) or what is paid (pay)" in page
    start_session(study)
    with study.database.write() as connection:
        run(connection, "UPDATE sessions SET seen_at = 0 WHERE finished_at IS NULL")
    assert act(admin, "state", state="open") == 200, "which also has the figures counted anew"
    assert "<dt>Dropped out before the first sound</dt><dd>1</dd>" in admin.get("/admin").text


def test_logging_out_ends_it(admin: Browser) -> None:
    assert act(admin, "logout") == 200
    admin._cookies = {name: value for name, value in admin._cookies.items() if value.strip('"')}
    assert admin.get("/admin/live").status == 401


@pytest.mark.parametrize(("proxies", "last"), [("127.0.0.1", 303), ("", 429)])
def test_forwarded_addresses_are_believed_of_named_proxies_only(
    study: Study, tmp_path: Path, proxies: str, last: int
) -> None:
    settings = ServeSettings(admin_token=TOKEN, port=0, starts_per_minute=1, proxies=proxies)
    with serving(study, settings, cache=tmp_path) as url:
        for address, expected in (("10.0.0.1", 303), ("10.0.0.2", last)):
            browser = Browser(url, headers={"X-Forwarded-For": address})
            csrf = re.search(r'name="csrf" value="([^"]+)"', browser.get("/").text)[1]
            form = f"csrf={csrf}&agree=yes".encode()
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            assert browser._once("POST", "/start", form, kind).status == expected
            browser.close()


def test_the_same_seed_gives_the_same_order_of_sounds(make_study: MakeStudy) -> None:
    orders = []
    for name in ("one", "two"):
        study = make_study(name=name)
        _, session = start_session(study)
        begin_session(study, session)
        with study.database.read() as connection:
            audio = {s.stimulus_id: s.audio for s in stimuli_of(connection)}
            found = rows(connection, "SELECT kind, stimulus_id FROM trials ORDER BY number")
        orders.append([(item["kind"], audio[item["stimulus_id"]]) for item in found])
    assert orders[0] == orders[1]
