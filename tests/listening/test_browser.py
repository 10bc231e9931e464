"""A listener takes a study in headless Chromium: by mouse, by keys, on a phone, with mishaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed (the extra dev brings it)")

from selenium.webdriver import Keys

from humanclap.listening.results.export import export_study
from humanclap.listening.results.monitor import overview
from humanclap.listening.study.admin_actions import change_state, exclude_listener
from humanclap.listening.study.database import rows
from humanclap.listening.study.session_start import Recruit, start_session
from humanclap.listening.web import routes
from humanclap.ratings.read import read_ratings
from humanclap.records import Pair

from .browser import (
    AXE,
    CLIPS_FETCHED,
    LONG,
    SHORT,
    SLOW,
    TOKEN,
    Listener,
    Served,
    missing,
    newest,
    press,
    serve,
)
from .conftest import write_clips

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

N_TRIALS, N_LONG = 17, 9


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, clips: tuple[Path, list[Pair]]
) -> Iterator[Served]:
    with serve(SHORT, tmp_path_factory.mktemp("short"), clips) as result:
        yield result


@pytest.fixture(scope="module")
def served_long(
    tmp_path_factory: pytest.TempPathFactory, clips: tuple[Path, list[Pair]]
) -> Iterator[Served]:
    with serve(LONG, tmp_path_factory.mktemp("long"), clips) as result:
        yield result


@pytest.fixture(scope="module")
def served_slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Sounds of three seconds."""
    folder = tmp_path_factory.mktemp("slow")
    with serve(SLOW, folder, (folder, write_clips(folder, seconds=3.0))) as result:
        yield result


@pytest.fixture
def listener(visit: Callable[[Served], Listener], served: Served) -> Listener:
    return visit(served)


@pytest.fixture
def questioned(visit: Callable[[Served], Listener], served_long: Served) -> Listener:
    """A listener of the study with questions and volume check."""
    return visit(served_long)


@pytest.fixture
def unhurried(visit: Callable[[Served], Listener], served_slow: Served) -> Listener:
    """A listener before the first of two sounds of three seconds."""
    listener = visit(served_slow)
    listener.open()
    listener.agree()
    listener.at("/sound")
    listener.check_volume()
    listener.at("/trial")
    return listener


def to_first_trial(listener: Listener) -> None:
    listener.open()
    listener.agree()
    listener.at("/trial")


def test_by_mouse(questioned: Listener, served_long: Served) -> None:
    listener = questioned
    listener.open("/?PROLIFIC_PID=worker1&STUDY_ID=s1&SESSION_ID=x1")
    listener.agree()
    listener.at("/about")
    listener.answer_questions()
    listener.at("/sound")
    listener.click("button[type=submit]")
    listener.at("/sound")
    listener.check_volume()
    listener.at("/trial")
    for number in range(1, N_LONG + 1):
        assert listener.heading() == f"Sound {number} of {N_LONG}"
        assert not listener.can_rate()
        listener.play()
        listener.rate(str(number % 11))
        listener.next()
    listener.at("/after")
    listener.answer_questions()
    listener.at("/done")
    assert listener.text("#code") == "C0FFEE"
    assert listener.find("a.button").get_attribute("href").endswith("cc=C0FFEE")
    assert newest(served_long[0]) == {n: float(n % 11) for n in range(1, N_LONG + 1)}


def tab_to(listener: Listener, selector: str) -> None:
    for _ in range(40):
        press(listener, Keys.TAB)
        if listener.driver.execute_script(
            "return document.activeElement.matches(arguments[0])", selector
        ):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def test_by_keyboard_only(questioned: Listener, served_long: Served) -> None:
    listener = questioned
    listener.open()
    tab_to(listener, "input[name=agree]")
    press(listener, Keys.SPACE, Keys.ENTER)
    listener.at("/about")
    for question in listener.all("main select, main input[type=text]"):
        tab_to(listener, f"[name={question.get_attribute('name')}]")
        press(listener, Keys.ARROW_DOWN if question.tag_name == "select" else "here")
    tab_to(listener, "button[type=submit]")
    press(listener, Keys.ENTER)
    listener.at("/sound")
    tab_to(listener, "button[data-sounds]")
    press(listener, Keys.ENTER)
    listener.wait(lambda d: listener.find("input[name=volume]").is_enabled())
    press(listener, Keys.TAB, Keys.SPACE, Keys.ENTER)
    listener.at("/trial")
    for number in range(1, N_LONG + 1):
        listener.wait(lambda d, n=number: listener.heading().startswith(f"Sound {n} "))
        listener.ready()
        press(listener, " ")
        listener.heard()
        press(listener, *("10" if number == 3 else str(number % 10)), Keys.ENTER)
    listener.at("/after")
    for question in listener.all("main select"):
        tab_to(listener, f"[name={question.get_attribute('name')}]")
        press(listener, Keys.ARROW_DOWN)
    tab_to(listener, "button[type=submit]")
    press(listener, Keys.ENTER)
    listener.at("/done")
    scores = newest(served_long[0])
    assert scores[3] == 10.0
    assert all(scores[n] == n % 10 for n in scores if n != 3)


def test_on_a_phone_everything_fits_and_fingers_hit(listener: Listener, served: Served) -> None:
    listener.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 375, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    to_first_trial(listener)
    for number in range(1, N_TRIALS + 1):
        wide = "return document.documentElement.scrollWidth - window.innerWidth"
        assert listener.driver.execute_script(wide) <= 0
        listener.play()
        for choice in listener.all(".choice"):
            assert min(choice.size["width"], choice.size["height"]) >= 44
        listener.rate("10" if number % 2 else "0")
        listener.next()
    listener.at("/done")
    assert set(newest(served[0]).values()) == {0.0, 10.0}


def test_a_scale_keeps_its_order_with_its_labels_at_both_ends(listener: Listener) -> None:
    """On a phone one below the other, elsewhere in one row: never in two rows."""
    to_first_trial(listener)
    for width in (320, 390, 641, 768, 1280):
        listener.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 641},
        )
        boxes = [choice.rect for choice in listener.all(".choice")]
        across = [box["x"] for box in boxes]
        down = [box["y"] for box in boxes]
        line, place = (down, across) if width < 641 else (across, down)
        assert line == sorted(set(line)), f"in order at {width} px"
        assert len(set(place)) == 1, f"one line at {width} px"
        ends = [item for item in listener.all(".end, .ends span") if item.size["height"] > 10]
        words = [item.text.splitlines()[-1] for item in ends]
        assert [word.rpartition("= ")[2] for word in words] == [
            "does not match at all", "matches exactly",
        ]  # fmt: skip
        first, last = (item.rect for item in ends)
        assert abs(first["y"] - boxes[0]["y"]) < 100
        assert abs(last["y"] - boxes[-1]["y"]) < 100


def test_next_looks_inactive_and_says_what_is_missing(listener: Listener) -> None:
    listener.open()
    assert listener.find("button[type=submit]").get_attribute("aria-disabled") == "true"
    assert listener.text("#missing") == "To start, tick the box."
    listener.click("input[name=agree]")
    assert listener.find("button[type=submit]").get_attribute("aria-disabled") == "false"
    assert listener.text("#missing") == ""
    listener.click("button[type=submit]")
    listener.at("/trial")
    listener.ready()
    following = listener.find("#next")
    inactive = following.value_of_css_property("background-color")
    assert following.get_attribute("aria-disabled") == "true"
    assert listener.text("#missing") == "Not heard to the end yet"
    listener.click("#next")
    assert listener.heading().startswith("Sound 1 "), "it says why, and stays"
    listener.play()
    assert listener.text("#missing") == "No answer chosen yet"
    listener.rate("3")
    assert following.get_attribute("aria-disabled") == "false"
    assert following.value_of_css_property("background-color") != inactive
    assert listener.text("#missing") == ""


def test_the_last_answer_can_be_changed_until_the_next_is_given(
    listener: Listener, served: Served
) -> None:
    to_first_trial(listener)
    assert not listener.find("#back").is_displayed(), "there is nothing to go back to"
    for value in ("1", "2"):
        listener.play()
        listener.rate(value)
        listener.next()
    listener.play()
    listener.rate("3")
    listener.click("#back")
    assert listener.heading() == f"Sound 2 of {N_TRIALS}"
    assert listener.find("#revising").is_displayed()
    assert not listener.find("#back").is_displayed(), "only the last answer"
    assert listener.find("fieldset.scale input:checked").get_attribute("value") == "2"
    listener.ready()
    listener.rate("8")
    listener.next()
    assert listener.heading() == f"Sound 3 of {N_TRIALS}"
    chosen = listener.find("fieldset.scale input:checked")
    assert chosen.get_attribute("value") == "3", "what was chosen meanwhile is still chosen"
    listener.wait(lambda d: newest(served[0]) == {1: 1.0, 2: 8.0})
    listener.driver.refresh()
    listener.ready()
    listener.click("#back")
    assert listener.find("fieldset.scale input:checked").get_attribute("value") == "8"
    listener.ready()
    listener.rate("9")
    listener.next()
    listener.click("#back")
    listener.next()
    listener.next()
    listener.wait(lambda d: newest(served[0]) == {1: 1.0, 2: 9.0, 3: 3.0})
    with served[0].database.read() as connection:
        assert len(rows(connection, "SELECT 1 FROM revisions WHERE number = 2")) == 1


def test_an_answer_changed_without_network_arrives_after_the_one_it_changes(
    listener: Listener, served: Served
) -> None:
    to_first_trial(listener)
    listener.play()
    listener.wait(lambda d: d.execute_script(CLIPS_FETCHED) >= 3, "clips ahead")
    listener.cut_network(off=True)
    listener.rate("4")
    listener.next()
    listener.ready()
    listener.click("#back")
    listener.ready()
    listener.rate("6")
    listener.next()
    listener.wait(lambda d: "until it is back: 2" in listener.text("#network"))
    listener.cut_network(off=False)
    listener.wait(lambda d: listener.text("#network") == "All answers are saved")
    assert newest(served[0]) == {1: 6.0}


def test_with_the_last_sound_the_button_says_finish(unhurried: Listener) -> None:
    listener = unhurried
    assert listener.text("#next") == "Next"
    listener.play()
    listener.rate("5")
    listener.next()
    listener.play()
    listener.rate("5")
    assert listener.text("#next") == "Finish"
    assert "makes your answers final" in listener.text("#missing")
    listener.click("#next")
    listener.at("/done")


def test_a_listener_seeks_and_pauses_but_not_beyond_what_was_heard(
    unhurried: Listener, served_slow: Served
) -> None:
    listener = unhurried
    listener.ready()

    def at() -> float:
        return float(listener.find("#position").get_property("value"))

    assert listener.text("#time") == "0:00 / 0:03"
    listener.find("#position").send_keys(Keys.END)
    assert at() == 0.0
    assert listener.text("#hint") == "You can go back, and forward as far as you have listened."
    listener.click("#play")
    listener.wait(lambda d: at() > 1.0, "does not play")
    assert listener.text("#play") == "Pause"
    listener.click("#play")
    listener.wait(lambda d: listener.text("#play") == "Play on")
    paused = at()
    listener.find("#position").send_keys(Keys.ARROW_LEFT)
    assert at() == pytest.approx(max(paused - 1.0, 0.0), abs=0.1)
    listener.find("#position").send_keys(Keys.END)
    assert 1.0 < at() < 2.9
    assert not listener.can_rate()
    listener.click("#play")
    listener.heard()
    listener.find("#position").send_keys(Keys.HOME)
    listener.wait(lambda d: at() == 0.0)
    listener.find("#position").send_keys(Keys.END)
    assert at() == pytest.approx(3.0, abs=0.05), "what was heard may be sought anywhere"
    listener.rate("5")
    listener.next()
    listener.wait(lambda d: newest(served_slow[0]) == {1: 5.0})
    with served_slow[0].database.read() as connection:
        [answer] = rows(connection, "SELECT play_count FROM answers ORDER BY received_at DESC")[:1]
    assert answer["play_count"] == 1, "what goes on after a pause is no further play"


def test_a_reload_and_a_closed_browser_lose_nothing(listener: Listener, served: Served) -> None:
    to_first_trial(listener)
    for _ in range(3):
        listener.play()
        listener.rate("7")
        listener.next()
    listener.play()
    listener.driver.refresh()
    listener.ready()
    assert listener.heading() == f"Sound 4 of {N_TRIALS}"
    assert listener.can_rate(), "what was heard stays heard"
    listener.rate("2")
    listener.next()
    listener.driver.switch_to.new_window("tab")
    first, second = listener.driver.window_handles
    listener.driver.switch_to.window(first)
    listener.driver.close()
    listener.driver.switch_to.window(second)
    listener.open()
    listener.at("/trial")
    assert listener.heading() == f"Sound 5 of {N_TRIALS}"
    listener.wait(lambda d: newest(served[0]) == {1: 7.0, 2: 7.0, 3: 7.0, 4: 2.0})


def test_ten_answers_without_network_arrive_once_when_it_is_back(
    listener: Listener, served: Served
) -> None:
    to_first_trial(listener)
    listener.play()
    listener.rate("1")
    listener.wait(lambda d: d.execute_script(CLIPS_FETCHED) >= 14, "clips ahead")
    listener.next()
    listener.wait(lambda d: d.execute_script(CLIPS_FETCHED) >= 15, "the way back is extra")
    listener.wait(lambda d: listener.text("#network") == "All answers are saved")
    listener.cut_network(off=True)
    for _ in range(10):
        listener.play()
        listener.rate("3")
        listener.next()
    listener.wait(lambda d: "until it is back: 10" in listener.text("#network"))
    assert newest(served[0]) == {1: 1.0}
    listener.cut_network(off=False)
    listener.wait(lambda d: listener.text("#network") == "All answers are saved")
    assert newest(served[0]) == {1: 1.0} | dict.fromkeys(range(2, 12), 3.0)
    for _ in range(N_TRIALS - 11):
        listener.play()
        listener.rate("5")
        listener.next()
    listener.at("/done")
    assert len(newest(served[0])) == N_TRIALS


def test_answers_and_pages_of_a_server_that_is_too_busy_come_when_it_has_time(
    listener: Listener, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_first_trial(listener)
    listener.play()
    listener.wait(lambda d: d.execute_script(CLIPS_FETCHED) >= 14, "clips ahead")
    monkeypatch.setattr(routes, "MOST_WAITING", 0)
    for value in ("1", "2", "3"):
        listener.play()
        listener.rate(value)
        listener.next()
    listener.wait(lambda d: "until it is back: 3" in listener.text("#network"))
    monkeypatch.undo()
    listener.wait(lambda d: listener.text("#network") == "All answers are saved")
    with served[0].database.read() as connection:
        found = rows(
            connection,
            "SELECT score FROM given_values v JOIN answers a ON a.answer_id = v.answer_id "
            "ORDER BY a.received_at DESC LIMIT 3",
        )
    assert [item["score"] for item in found] == [3.0, 2.0, 1.0]
    monkeypatch.setattr(routes, "MOST_WAITING", 0)
    listener.open("/trial")
    assert listener.text("h1") == "One moment, please"
    monkeypatch.undo()
    listener.wait(lambda d: listener.all("#heading"), "the page has not loaded itself again")
    assert listener.heading() == f"Sound 4 of {N_TRIALS}"


def test_answers_that_wait_are_sent_even_where_the_study_was_closed_meanwhile(
    listener: Listener, served: Served
) -> None:
    to_first_trial(listener)
    listener.play()
    listener.cut_network(off=True)
    listener.rate("9")
    listener.next()
    listener.wait(lambda d: "until it is back: 1." in listener.text("#network"))
    change_state(served[0], "closed")
    try:
        listener.cut_network(off=False)
        listener.driver.get("about:blank")
        listener.open("/trial")
        assert "Study closed" in listener.text("h1")
        listener.wait(lambda d: newest(served[0]) == {1: 9.0})
    finally:
        change_state(served[0], "open")


def test_consent_in_two_tabs_is_one_listener_and_neither_asks_what_the_other_has_answered(
    listener: Listener, served: Served
) -> None:
    before = len(overview(served[0]).listeners)
    listener.open()
    first = listener.driver.current_window_handle
    listener.driver.switch_to.new_window("tab")
    second = listener.driver.current_window_handle
    listener.open()
    listener.agree()
    listener.at("/trial")
    listener.driver.switch_to.window(first)
    listener.agree()
    listener.at("/trial")
    assert len(overview(served[0]).listeners) == before + 1
    for tab, score, numbers in ((first, "3", (1, 2)), (second, "8", (3, 4)), (first, "5", (5,))):
        listener.driver.switch_to.window(tab)
        for number in numbers:
            listener.wait(lambda d, n=number: listener.heading() == f"Sound {n} of {N_TRIALS}")
            listener.play()
            listener.rate(score)
            listener.next()
    listener.wait(lambda d: newest(served[0]) == {1: 3.0, 2: 3.0, 3: 8.0, 4: 8.0, 5: 5.0})
    listener.driver.close()
    listener.driver.switch_to.window(second)


def test_what_one_tab_could_not_send_another_sends(listener: Listener, served: Served) -> None:
    to_first_trial(listener)
    first = listener.driver.current_window_handle
    listener.play()
    listener.cut_network(off=True)
    listener.rate("9")
    listener.next()
    listener.wait(lambda d: "until it is back: 1." in listener.text("#network"))
    listener.driver.switch_to.new_window("tab")
    second = listener.driver.current_window_handle
    listener.driver.switch_to.window(first)
    listener.driver.execute_script("window.onbeforeunload = null")
    listener.driver.close()
    listener.driver.switch_to.window(second)
    listener.cut_network(off=False)
    listener.open()
    listener.at("/trial")
    listener.wait(lambda d: newest(served[0]) == {1: 9.0})
    assert listener.heading() == f"Sound 2 of {N_TRIALS}"


def test_an_answer_given_while_the_session_went_to_another_browser_is_sent_once_it_is_back(
    listener: Listener, served: Served
) -> None:
    mover = "/?PROLIFIC_PID=mover&STUDY_ID=s&SESSION_ID=x"
    listener.open(mover)
    listener.agree()
    listener.at("/trial")
    listener.play()
    listener.wait(lambda d: d.execute_script(CLIPS_FETCHED) >= 14, "clips ahead")
    start_session(served[0], recruit=Recruit(site="prolific", worker="mover", submission="x"))
    listener.rate("4")
    listener.click("#next")
    listener.wait(lambda d: listener.all("input[name=agree]"), "not at the first page")
    listener.open(mover)
    listener.agree()
    listener.at("/trial")
    assert listener.heading() == f"Sound 2 of {N_TRIALS}"
    listener.wait(lambda d: newest(served[0]) == {1: 4.0})


def test_who_is_excluded_meanwhile_is_told_with_the_next_answer(
    listener: Listener, served: Served
) -> None:
    to_first_trial(listener)
    listener.play()
    with served[0].database.read() as connection:
        [newcomer] = rows(
            connection, "SELECT listener_id FROM listeners ORDER BY created_at DESC LIMIT 1"
        )
    exclude_listener(served[0], newcomer["listener_id"], "a test")
    listener.rate("2")
    listener.click("#next")
    listener.at("/go")
    assert listener.text("h1") == "Session ended"
    assert not listener.all("#code")


def test_a_rating_before_the_end_of_the_sound_is_not_possible(listener: Listener) -> None:
    to_first_trial(listener)
    listener.ready()
    press(listener, "5", Keys.ENTER)
    assert listener.heading() == f"Sound 1 of {N_TRIALS}"
    assert listener.text("#hint") == "Listen to the end, then answer."
    assert not listener.all("fieldset.scale input:checked")


def test_shortcuts_can_be_switched_off(listener: Listener) -> None:
    to_first_trial(listener)
    listener.play()
    listener.click("details.keys summary")
    listener.click("#keys-on")
    listener.click("#heading")
    press(listener, "5")
    assert not listener.all("fieldset.scale input:checked")


def test_the_admin_page_shows_progress_behind_its_token(listener: Listener) -> None:
    listener.open("/admin")
    listener.find("#token").send_keys("wrong")
    listener.click("button[type=submit]")
    listener.wait(lambda d: "not the token" in listener.text("[role=alert]"))
    listener.find("#token").send_keys(TOKEN)
    listener.click("button[type=submit]")
    listener.at("/admin")
    listener.wait(lambda d: "Ratings" in listener.text(".figures"))
    listener.click("button[value=paused]")
    listener.wait(lambda d: listener.text(".state-paused") == "paused")
    listener.click("button[value=open]")
    listener.wait(lambda d: listener.text(".state-open") == "open")


@pytest.mark.skipif(
    not AXE.is_file(), reason="axe-core is not there (npm install --prefix .cache/axe axe-core)"
)
def test_axe_finds_no_violation_on_any_page(questioned: Listener) -> None:
    listener = questioned
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        for scheme in ("light", "dark"):
            listener.colours(scheme)
            found[f"{name}, {scheme}"] = listener.axe()

    listener.open()
    look("welcome")
    listener.agree()
    listener.at("/about")
    look("about")
    listener.answer_questions()
    listener.at("/sound")
    look("sound")
    listener.check_volume()
    listener.at("/trial")
    look("trial, closed")
    listener.play()
    listener.rate("6")
    look("trial, open")
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    listener.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    look("trial, phone")
    listener.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    listener.next()
    listener.click("#back")
    listener.ready()
    look("trial, changed")
    listener.next()
    for _ in range(N_LONG - 1):
        listener.play()
        listener.rate("6")
        listener.next()
    listener.at("/after")
    look("after")
    listener.answer_questions()
    listener.at("/done")
    look("done")
    listener.open("/nowhere")
    look("error")
    listener.open("/admin")
    look("admin login")
    listener.find("#token").send_keys(TOKEN)
    listener.click("button[type=submit]")
    listener.wait(lambda d: listener.all(".figures"))
    look("admin")
    assert {name: violations for name, violations in found.items() if violations} == {}


def test_the_export_of_what_was_clicked_is_read_by_the_ratings_stage(
    served: Served, tmp_path: Path
) -> None:
    done = export_study(served[0], tmp_path)
    ratings = read_ratings(tmp_path / "ratings.csv")
    assert len(ratings) == done.ratings
    kinds = Counter(rating.kind for rating in ratings)
    assert kinds["anchor"] >= 2
    assert kinds["attention_check"] >= 1
