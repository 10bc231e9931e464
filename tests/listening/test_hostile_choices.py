"""Requests to an A/B study that no page of ours sends, and what its page must not tell."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from humanclap.listening.design.clips import ClipCache
from humanclap.listening.rehearsal.bots import Browser
from humanclap.listening.study.database import row, rows
from humanclap.listening.study.study import Study, create_study, open_study
from humanclap.listening.web.app import serving
from humanclap.listening.web.settings import ServeSettings

from .test_comparisons import CLIPS, TEXTS, of_clips, of_texts

TOKEN = "an-admin-token-of-the-tests"


class Page:
    """A listener of a served A/B study, at the page of its trials."""

    def __init__(self, study: Study, url: str) -> None:
        self.study, self.url = study, url
        self.browser = Browser(url)
        csrf = re.search(r'name="csrf" value="([^"]+)"', self.browser.get("/").text)[1]
        self.content = self.browser.post("/start", {"csrf": csrf, "agree": "yes"}).body
        self.plan = json.loads(re.search(rb'id="plan">(.*?)</script>', self.content, re.DOTALL)[1])

    def send(self, trial_id: str, **changes: object) -> int:
        answer = {
            "answer_id": "0123456789abcdef", "trial_id": trial_id, "values": {"CHOICE": 1},
            "play_count": 1, "play_count_second": 1, "heard_to_end": True, "trial_s": 3.0,
            "waited_s": 0, **changes,
        }  # fmt: skip
        kept = {name: value for name, value in answer.items() if value is not ...}
        headers = {"Content-Type": "application/json", "X-CSRF-Token": self.plan["csrf"]}
        return self.browser.request("POST", "/answers", json.dumps(kept).encode(), headers).status


def page_of(folder: Path, clips, design: str) -> Iterator[Page]:
    items = (of_texts if 'trial = "texts"' in design else of_clips)(clips[1])
    where = str(folder / "study.sqlite")
    create_study(where, design_text=design, pairs=items, audio_root=clips[0])
    study = open_study(where)
    settings = ServeSettings(admin_token=TOKEN, port=0)
    with serving(study, settings, cache=folder / "cache") as url:
        page = Page(study, url)
        yield page
        page.browser.close()
    study.close()


@pytest.fixture(scope="module")
def two_clips(tmp_path_factory: pytest.TempPathFactory, clips) -> Iterator[Page]:
    yield from page_of(tmp_path_factory.mktemp("clips"), clips, CLIPS)


@pytest.fixture(scope="module")
def two_texts(tmp_path_factory: pytest.TempPathFactory, clips) -> Iterator[Page]:
    yield from page_of(tmp_path_factory.mktemp("texts"), clips, TEXTS)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"values": {"CHOICE": 0.5}}, 422),
        ({"values": {"CHOICE": "A"}}, 422),
        ({"values": {"CHOICE": True}}, 422),
        ({"values": {"CHOICE": [1]}}, 422),
        ({"values": {"REL": 5}}, 422),
        ({"values": {}}, 422),
        ({"play_count_second": ...}, 422),
        ({"play_count_second": 0}, 422),
        ({"play_count_second": -1}, 422),
        ({"play_count_second": 1.5}, 422),
        ({"play_count_second": True}, 422),
        ({"play_count_second": None}, 422),
        ({"play_count_second": 10**400}, 422),
        ({"heard_to_end": False}, 422),
        ({"swapped": False}, 422),
        ({"expected": 1}, 422),
        ({"trial_id": "0123456789"}, 404),
    ],
)
def test_choices_that_no_page_of_ours_sends(two_clips: Page, changes: dict, status: int) -> None:
    trial_id = two_clips.plan["trials"][0]["trial_id"]
    assert two_clips.send(changes.pop("trial_id", trial_id), **changes) == status
    with two_clips.study.database.read() as connection:
        assert rows(connection, "SELECT * FROM answers") == []


def test_a_choice_of_texts_counts_plays_of_one_sound(two_texts: Page) -> None:
    trial_id = two_texts.plan["trials"][0]["trial_id"]
    assert two_texts.send(trial_id) == 422
    assert two_texts.send(trial_id, play_count_second=...) == 201


@pytest.mark.parametrize(
    "name",
    ["{}", "{}.c.flac", "{}.flac", "{}.a", "{}.a.exe", "{}.a.b.flac", "{}.A.flac", ".a.flac"],
)
def test_sounds_that_a_comparison_does_not_have(two_clips: Page, name: str) -> None:
    trial_id = two_clips.plan["trials"][0]["trial_id"]
    reply = two_clips.browser.request("GET", f"/clip/{name.format(trial_id)}")
    assert reply.status == 404


def test_one_sound_has_no_places(two_texts: Page) -> None:
    trial_id = two_texts.plan["trials"][0]["trial_id"]
    assert two_texts.browser.request("GET", f"/clip/{trial_id}.a.flac").status == 404
    assert two_texts.browser.request("GET", f"/clip/{trial_id}.flac").status == 200


def test_a_and_b_play_the_clips_as_they_were_drawn(two_clips: Page, tmp_path: Path) -> None:
    cache = ClipCache(two_clips.study.audio_root, tmp_path)
    seen = set()
    for trial in two_clips.plan["trials"]:
        with two_clips.study.database.read() as connection:
            drawn = row(
                connection,
                "SELECT t.swapped, p.audio, p.audio_b FROM trials t "
                "JOIN stimuli p ON p.stimulus_id = t.stimulus_id WHERE t.trial_id = :id",
                id=trial["trial_id"],
            )
        names = [drawn["audio"], drawn["audio_b"]]
        seen.add(drawn["swapped"])
        for sound, name in zip(
            trial["sounds"], names[:: -1 if drawn["swapped"] else 1], strict=True
        ):
            served = two_clips.browser.request("GET", f"/clip/{sound}.flac").body
            wanted = cache.content(name, "flac")
            assert hashlib.sha256(served).digest() == hashlib.sha256(wanted).digest()
    assert seen == {0, 1}


@pytest.mark.parametrize("kind", ["two_clips", "two_texts"])
def test_the_page_tells_neither_systems_nor_kinds_nor_sides(
    kind: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(kind)
    with page.study.database.read() as connection:
        found = rows(connection, "SELECT audio, audio_b, system, system_b, label FROM stimuli")
    secrets = {str(value) for item in found for value in item.values() if value is not None}
    words = ("anchor", "attention_check", "expected", "swapped", "stimulus", "shown_first")
    for secret in (*secrets, *words):
        # as a word of its own: two letters also stand somewhere in a random token
        assert not re.search(rb"(?<![\w-])%b(?![\w-])" % re.escape(secret.encode()), page.content)
    names = {frozenset(trial) for trial in page.plan["trials"]}
    assert names == {frozenset(("trial_id", "number", "texts", "sounds", "practice"))}


def test_a_study_of_choices_in_japanese_speaks_japanese(tmp_path: Path, clips) -> None:
    design = TEXTS.replace("seed = 5", 'seed = 5\nlanguage = "ja"')
    for page in page_of(tmp_path, clips, design):
        assert "どちらの文が音によく合っていますか。".encode() in page.content
        assert "同じくらい".encode() in page.content


def test_without_equal_its_button_and_its_key_are_gone(tmp_path: Path, clips) -> None:
    for page in page_of(tmp_path, clips, CLIPS + "[choice]\nequal = false\n"):
        assert b"About equal" not in page.content
        assert b"about equal" not in page.content
        assert page.plan["keys"] == {"a": "-1", "b": "1"}
