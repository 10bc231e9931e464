"""A listener takes A/B studies in headless Chromium: two clips for a text, two texts for a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed (the extra dev brings it)")


from humanclap.choices import read_choices
from humanclap.listening.design.comparisons import EQUAL, A, B
from humanclap.listening.results.export import export_study
from humanclap.listening.study.database import rows

from .browser import AXE, CLIPS_FETCHED, TOKEN, Listener, Served, missing, newest, press, serve
from .conftest import write_clips
from .test_comparisons import of_clips, of_texts

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

DESIGN = """
title = "Which one?"
trial = "{trial}"
seed = 2
[quota]
choices_per_comparison = 20
[session]
pairs = 2
anchors = 1
attention_checks = 1
repeats = 1
practice = 0
volume_check = false
"""
N_TRIALS = 5
PHONE = {"width": 375, "height": 740, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def of_two_clips(tmp_path_factory: pytest.TempPathFactory, clips) -> Iterator[Served]:
    place, items = tmp_path_factory.mktemp("two-clips"), of_clips(clips[1])
    with serve(DESIGN.format(trial="clips"), place, (clips[0], items)) as result:
        yield result


@pytest.fixture(scope="module")
def of_two_texts(tmp_path_factory: pytest.TempPathFactory, clips) -> Iterator[Served]:
    place, items = tmp_path_factory.mktemp("two-texts"), of_texts(clips[1])
    with serve(DESIGN.format(trial="texts"), place, (clips[0], items)) as result:
        yield result


@pytest.fixture
def at_two_clips(visit: Callable[[Served], Listener], of_two_clips: Served) -> Listener:
    """A listener before the first comparison of two clips."""
    return to_first_trial(visit(of_two_clips))


@pytest.fixture
def at_two_texts(visit: Callable[[Served], Listener], of_two_texts: Served) -> Listener:
    """A listener before the first comparison of two texts."""
    return to_first_trial(visit(of_two_texts))


def to_first_trial(listener: Listener) -> Listener:
    listener.open()
    listener.agree()
    listener.at("/trial")
    return listener


def test_two_clips_by_mouse_and_the_export_says_which_was_chosen(
    at_two_clips: Listener, of_two_clips: Served, tmp_path: Path
) -> None:
    listener = at_two_clips
    buttons = ("-1", "0", "1")
    labels = [choice.text for choice in listener.all(".choice")]
    assert labels == ["A", "About equal", "B"]
    assert [item.text for item in listener.all(".side-name")] == ["Sound A", "Sound B"]
    for number in range(1, N_TRIALS + 1):
        assert listener.heading() == f"Comparison {number} of {N_TRIALS}"
        listener.ready()
        assert not listener.can_rate()
        assert listener.text("#missing") == "A and B not both heard to the end yet"
        listener.click("#play-a")
        listener.wait(lambda d: listener.was_heard(0))
        assert not listener.can_rate(), "one of two is not enough"
        assert not listener.was_heard(1)
        listener.click("#play-b")
        listener.heard()
        listener.rate(buttons[number % 3])
        listener.next()
    listener.at("/done")
    assert newest(of_two_clips[0]) == {n: float(buttons[n % 3]) for n in range(1, N_TRIALS + 1)}
    export_study(of_two_clips[0], tmp_path)
    choices = read_choices(tmp_path / "choices.csv")
    assert {one.kind for one in choices if one.is_check} == {"anchor", "attention_check"}


def test_two_texts_by_mouse_stand_in_the_order_that_was_drawn(
    at_two_texts: Listener, of_two_texts: Served
) -> None:
    listener, study = at_two_texts, of_two_texts[0]
    assert not listener.all("#play-a"), "one sound"
    with study.database.read() as connection:
        own = rows(
            connection,
            "SELECT text, text_b, swapped FROM trials WHERE session_id = (SELECT session_id "
            "FROM sessions ORDER BY created_at DESC LIMIT 1) ORDER BY number",
        )
    for trial in own:
        listener.play()
        shown = [listener.text("#caption-a"), listener.text("#caption-b")]
        in_table = [trial["text"], trial["text_b"]]
        assert shown == (in_table[::-1] if trial["swapped"] else in_table)
        listener.rate("1")
        listener.next()
    listener.at("/done")
    assert set(newest(study).values()) == {B}


def test_two_clips_by_keyboard_only(at_two_clips: Listener, of_two_clips: Served) -> None:
    listener = at_two_clips
    for number in range(1, N_TRIALS + 1):
        listener.wait(lambda d, n=number: listener.heading().startswith(f"Comparison {n} "))
        listener.ready()
        press(listener, "a")
        assert listener.text("#hint").startswith("Listen to A and to B")
        for place, key in enumerate((" ", " ") if number % 2 else ("1", "2")):
            press(listener, key)
            listener.wait(lambda d, p=place: listener.was_heard(p))
        listener.heard()
        press(listener, "aB="[number % 3], "\n")
    listener.at("/done")
    buttons = (A, B, EQUAL)
    assert newest(of_two_clips[0]) == {n: buttons[n % 3] for n in range(1, N_TRIALS + 1)}


def test_two_texts_by_keyboard_only(at_two_texts: Listener, of_two_texts: Served) -> None:
    listener = at_two_texts
    for number in range(1, N_TRIALS + 1):
        listener.wait(lambda d, n=number: listener.heading().startswith(f"Comparison {n} "))
        listener.ready()
        press(listener, " ")
        listener.heard()
        press(listener, "1", "b", "=", "A", "\n")  # a digit is no answer; the last letter counts
    listener.at("/done")
    assert set(newest(of_two_texts[0]).values()) == {A}


@pytest.mark.parametrize("kind", ["at_two_clips", "at_two_texts"])
def test_on_a_phone_everything_fits_and_fingers_hit(
    kind: str, request: pytest.FixtureRequest
) -> None:
    listener: Listener = request.getfixturevalue(kind)
    listener.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    listener.play()
    wide = "return document.documentElement.scrollWidth - window.innerWidth"
    assert listener.driver.execute_script(wide) <= 0
    for target in listener.all(".choice, .play, #next"):
        if target.is_displayed():
            assert min(target.size["width"], target.size["height"]) >= 44
    boxes = [choice.rect for choice in listener.all(".choice")]
    assert len({box["y"] for box in boxes}) == 1, "A, equal and B in one row"
    listener.rate("0")
    listener.next()


def test_a_reload_in_the_middle_keeps_what_was_heard_of_each_side(
    at_two_clips: Listener, of_two_clips: Served
) -> None:
    listener = at_two_clips
    listener.ready()
    listener.click("#play-b")
    listener.wait(lambda d: listener.was_heard(1))
    listener.driver.refresh()
    listener.ready()
    assert (listener.was_heard(0), listener.was_heard(1)) == (False, True)
    listener.click("#play-a")
    listener.heard()
    listener.rate("1")
    listener.next()
    listener.wait(lambda d: newest(of_two_clips[0]) == {1: B})
    listener.driver.refresh()
    listener.ready()
    assert listener.heading() == f"Comparison 2 of {N_TRIALS}"
    listener.click("#back")
    assert listener.find("fieldset.scale input:checked").get_attribute("value") == "1"
    listener.ready()
    assert listener.can_rate(), "both were heard before"
    listener.rate("-1")
    listener.next()
    listener.wait(lambda d: newest(of_two_clips[0]) == {1: A})


def test_choices_without_network_arrive_once_when_it_is_back(
    at_two_clips: Listener, of_two_clips: Served
) -> None:
    listener = at_two_clips
    listener.ready()
    listener.wait(lambda d: d.execute_script(CLIPS_FETCHED) >= 2 * N_TRIALS, "clips ahead")
    listener.cut_network(off=True)
    for value in ("-1", "1", "0"):
        listener.play()
        listener.rate(value)
        listener.next()
    listener.wait(lambda d: "until it is back: 3" in listener.text("#network"))
    listener.cut_network(off=False)
    listener.wait(lambda d: listener.text("#network") == "All answers are saved")
    assert newest(of_two_clips[0]) == {1: A, 2: B, 3: EQUAL}


def test_one_sound_plays_at_a_time(visit: Callable[[Served], Listener], tmp_path: Path) -> None:
    folder = tmp_path / "slow"
    items = of_clips(write_clips(folder, seconds=3.0))
    with serve(DESIGN.format(trial="clips"), tmp_path, (folder, items)) as served:
        listener = to_first_trial(visit(served))
        listener.ready()
        listener.click("#play-a")
        listener.wait(lambda d: listener.text("#play-text-a") == "Pause")
        listener.click("#play-b")
        listener.wait(lambda d: listener.text("#play-text-b") == "Pause")
        listener.wait(lambda d: listener.text("#play-text-a") == "Play on")
        press(listener, "1")
        listener.wait(lambda d: listener.text("#play-text-a") == "Pause")
        listener.wait(lambda d: listener.text("#play-text-b") == "Play on")


@pytest.mark.skipif(
    not AXE.is_file(), reason="axe-core is not there (npm install --prefix .cache/axe axe-core)"
)
@pytest.mark.parametrize("kind", ["of_two_clips", "of_two_texts"])
def test_axe_finds_no_violation_on_any_page_of_choices(
    kind: str, visit: Callable[[Served], Listener], request: pytest.FixtureRequest
) -> None:
    listener = visit(request.getfixturevalue(kind))
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        for scheme in ("light", "dark"):
            listener.colours(scheme)
            found[f"{name}, {scheme}"] = listener.axe()

    to_first_trial(listener)
    listener.ready()
    look("closed")
    listener.play()
    listener.rate("0")
    look("open")
    listener.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    look("phone")
    listener.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    listener.next()
    listener.open("/admin")
    listener.find("#token").send_keys(TOKEN)
    listener.click("button[type=submit]")
    listener.wait(lambda d: listener.all(".figures"))
    look("admin")
    assert {name: violations for name, violations in found.items() if violations} == {}
