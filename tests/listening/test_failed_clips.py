"""A clip that fails while a study runs: nobody waits, the researcher sees it, it comes back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from humanclap.cli.main import run as command
from humanclap.listening.rehearsal.bots import Bot, Browser
from humanclap.listening.results.monitor import overview
from humanclap.listening.study.database import rows
from humanclap.listening.study.session_start import start_session
from humanclap.listening.study.session_trials import StudyFullError, begin_session
from humanclap.listening.study.study import Study, create_study, open_study
from humanclap.listening.web.app import serving
from humanclap.listening.web.settings import ServeSettings
from humanclap.records import Pair

from .conftest import DESIGN
from .test_sessions import plan_of, start

TOKEN = "an-admin-token-of-the-tests"
ONE_RATING = DESIGN.replace("ratings_per_pair = 2", "ratings_per_pair = 1")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A study over clips of its own, which a test may damage."""

    study: Study
    folder: Path
    where: Path

    def damage(self, audio: str) -> bytes:
        path = self.folder / audio
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 3])
        return whole

    def events(self) -> list[tuple[str, str]]:
        with self.study.database.read() as connection:
            found = rows(connection, "SELECT action, subject FROM events ORDER BY at")
        return [(item["action"], item["subject"]) for item in found]


@pytest.fixture
def place(tmp_path: Path, clips: tuple[Path, list[Pair]]) -> Iterator[Place]:
    """Six pairs, so that a session holds all of them."""
    folder = tmp_path / "clips"
    shutil.copytree(clips[0], folder)
    where = tmp_path / "study.sqlite"
    create_study(str(where), design_text=ONE_RATING, pairs=clips[1][:6], audio_root=folder)
    study = open_study(where)
    yield Place(study=study, folder=folder, where=where)
    study.close()


def served(place: Place, tmp_path: Path):
    settings = ServeSettings(admin_token=TOKEN, port=0)
    return serving(place.study, settings, cache=tmp_path / "cache")


def bot(browser: Browser) -> Bot:
    return Bot(browser, rate=lambda heard: {"REL": 5.0})


@pytest.mark.parametrize("how", ["truncated", "gone"])
def test_it_is_left_out_reported_and_its_place_given_back(
    place: Place, tmp_path: Path, how: str
) -> None:
    bad = "natural/2.flac"
    whole = place.damage(bad)
    if how == "gone":
        (place.folder / bad).unlink()
    with served(place, tmp_path) as url:
        browser = Browser(url)
        answers = list(bot(browser).take_part())
        assert 'id="code"' in browser.get("/done").text, "one bad clip keeps nobody from the end"
        view = overview(place.study)
        assert view.sessions == {"finished": 1}
        assert (view.ratings_answered, view.ratings_promised) == (5, 0)
        [failed] = view.failed_clips
        assert (failed.audio, failed.left_out >= 1) == (bad, True)
        assert failed.reason
        assert len(answers) + failed.left_out == 8, "6 pairs, an anchor, a check; none to practise"
        browser.post("/admin/login", {"token": TOKEN})
        assert bad in browser.get("/admin").text
        other = Browser(url)
        assert other.get("/").status == 409, "full: the only pair left cannot be heard"
        (place.folder / bad).write_bytes(whole)
        assert len(list(bot(other).take_part())) >= 1
        other.close()
        browser.close()
    view = overview(place.study)
    assert (view.ratings_answered, view.failed_clips) == (6, ())
    assert place.events() == [("clip failed", bad), ("clip used again", bad)]


def test_a_page_that_asks_again_gets_the_same_answer_and_the_report_stands_once(
    place: Place, tmp_path: Path
) -> None:
    place.damage("natural/2.flac")
    with served(place, tmp_path) as url:
        browser = Browser(url)
        plan = plan_of(start(browser))
        statuses = {
            trial["trial_id"]: [
                browser.get(f"/clip/{trial['trial_id']}.{form}").status for form in ("flac", "wav")
            ]
            for trial in plan["trials"]
        }
        assert [s for s in statuses.values() if 410 in s] == [[410, 410]] * (
            overview(place.study).failed_clips[0].left_out
        )
        left = [trial["trial_id"] for trial in plan_of(browser.get("/trial"))["trials"]]
        assert left == [name for name, status in statuses.items() if status == [200, 200]]
        browser.close()
    assert place.events() == [("clip failed", "natural/2.flac")]


def test_nobody_is_given_a_clip_that_failed(place: Place, tmp_path: Path) -> None:
    place.damage("natural/2.flac")
    with served(place, tmp_path) as url:
        browser = Browser(url)
        for trial in plan_of(start(browser))["trials"]:
            browser.get(f"/clip/{trial['trial_id']}.flac")
        browser.close()
    with pytest.raises(StudyFullError):
        start_session(place.study)  # the rest is promised to the first
    with place.study.database.write() as connection:
        connection.exec_driver_sql("UPDATE stimuli SET wanted = 3 WHERE kind = 'pair'")
    _, session = start_session(place.study)
    begin_session(place.study, session)
    with place.study.database.read() as connection:
        heard = rows(
            connection,
            "SELECT p.audio FROM trials t JOIN stimuli p ON p.stimulus_id = t.stimulus_id "
            f"WHERE t.session_id = '{session.session_id}'",
        )
    assert len(heard) >= 6
    assert "natural/2.flac" not in {item["audio"] for item in heard}


def test_where_no_clip_can_be_played_nobody_finishes_for_nothing(
    place: Place, tmp_path: Path
) -> None:
    """As when the folder of clips is not mounted: wait, and go on when it is back."""
    with served(place, tmp_path) as url:
        browser = Browser(url)
        plan = plan_of(start(browser))
        place.folder.rename(tmp_path / "elsewhere")
        for trial in plan["trials"]:
            assert browser.get(f"/clip/{trial['trial_id']}.flac").status == 410
        page = browser._once("GET", "/go", b"", {})
        assert page.status == 503
        assert "cannot be played at the moment" in page.text
        assert browser._once("GET", "/done", b"", {}).headers["location"] == "/go"
        (tmp_path / "elsewhere").rename(place.folder)
        assert plan_of(browser.get("/"))["trials"] == plan["trials"]
        browser.close()
    assert overview(place.study).failed_clips == ()


def test_a_clip_that_could_be_read_all_along_is_used_again_when_the_server_starts(
    place: Place, tmp_path: Path
) -> None:
    """A disk that failed for a moment leaves the file as it was."""
    from humanclap.listening.study.failed_clips import report_failure

    for audio in ("natural/1.flac", "natural/2.flac"):
        if audio == "natural/2.flac":
            place.damage(audio)
        report_failure(place.study, audio, "input/output error")
    with served(place, tmp_path):
        assert [clip.audio for clip in overview(place.study).failed_clips] == ["natural/2.flac"]


def test_status_names_it(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from humanclap.listening.study.failed_clips import report_failure

    report_failure(place.study, "natural/2.flac", "truncated")
    assert command(["listen", "status", str(place.where)]) == 0
    assert "cannot be played: natural/2.flac: truncated" in capsys.readouterr().out
    assert command(["listen", "status", str(place.where), "--json"]) == 0
    [failed] = json.loads(capsys.readouterr().out)["failed_clips"]
    assert (failed["audio"], failed["left_out"]) == ("natural/2.flac", 0)


def test_the_page_goes_on_without_it(place: Place, tmp_path: Path) -> None:
    """In a browser: no sound that is tried for ever."""
    pytest.importorskip("selenium", reason="selenium is not installed (the extra dev brings it)")
    from .browser import Listener, chromium, missing

    if (why := missing()) is not None:
        pytest.skip(why)
    place.damage("natural/2.flac")
    with served(place, tmp_path) as url, chromium() as driver:
        listener = Listener(driver, url)
        listener.open()
        listener.agree()
        listener.at("/trial")
        with place.study.database.read() as connection:
            audio = [
                item["audio"]
                for item in rows(
                    connection,
                    "SELECT p.audio FROM trials t JOIN stimuli p ON p.stimulus_id = t.stimulus_id",
                )
            ]
        n_bad = audio.count("natural/2.flac")
        for _ in range(len(audio) - n_bad):
            listener.play()
            listener.rate("5")
            listener.next()
        listener.at("/done")
    view = overview(place.study)
    assert [(clip.audio, clip.left_out) for clip in view.failed_clips] == [
        ("natural/2.flac", n_bad)
    ]
    assert view.ratings_answered == 5
