"""Headless Chromium for tests, and the steps a listener takes in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from humanclap.listening.results.all_answers import answered
from humanclap.listening.study.study import Items, Study, create_study, open_study
from humanclap.listening.web.app import serving
from humanclap.listening.web.settings import ServeSettings

Served = tuple[Study, str]
TOKEN = "an-admin-token-of-the-tests"
DESIGN = """
title = "Does the sound match the text?"
seed = 1
contact = "Questions: the researcher in charge"
[quota]
ratings_per_pair = 8
[session]
pairs = 12
anchors = 2
attention_checks = 1
repeats = 1
practice = 1
[completion]
code = "C0FFEE"
url = "https://example.org/complete?cc={code}"
"""
SHORT = DESIGN.replace("[session]", "[session]\nvolume_check = false")
LONG = DESIGN.replace("pairs = 12", "pairs = 4") + '[listener]\npreset = "relate"\n'
"""With the questions about the listener and the volume check, and fewer sounds."""
SLOW = """
title = "Does the sound match the text?"
[session]
pairs = 2
anchors = 0
attention_checks = 0
practice = 0
"""
"""Two sounds, to be served long enough to seek in."""
CLIPS_FETCHED = (
    "return performance.getEntriesByType('resource')"
    ".filter((item) => item.name.includes('/clip/')).length"
)
WAIT_S = 30
ROOT = Path(__file__).resolve().parents[2]
AXE = Path(os.environ.get("HUMANCLAP_AXE", ROOT / ".cache/axe/node_modules/axe-core/axe.min.js"))
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


def missing() -> str | None:
    """Why there is no browser to test with, None where there is one."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt install chromium chromium-driver)"
    return None


@contextmanager
def chromium(*, width: int = 1000, height: int = 900) -> Iterator[Chrome]:
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        driver = Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
        try:
            yield driver
        finally:
            driver.quit()


@contextmanager
def serve(design: str, folder: Path, clips: tuple[Path, Items]) -> Iterator[Served]:
    """A server of a study of these clips; pairs, or the comparisons of an A/B study."""
    where = str(folder / "study.sqlite")
    create_study(where, design_text=design, pairs=clips[1], audio_root=clips[0])
    study = open_study(where)
    settings = ServeSettings(admin_token=TOKEN, port=0)
    with serving(study, settings, cache=folder / "cache") as url:
        yield study, url
    study.close()


class Listener:
    """One person at one browser."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, path: str = "/") -> None:
        self.driver.get(self.url + path)

    def fresh(self) -> None:
        """A browser that was never here."""
        self.driver.set_network_conditions(offline=False, latency=0, throughput=-1)
        self.driver.get(self.url + "/health")
        self.driver.execute_script("localStorage.clear()")
        self.driver.delete_all_cookies()

    def wait(self, condition: Callable[[Chrome], Any], what: str = "") -> Any:
        return WebDriverWait(self.driver, WAIT_S, poll_frequency=0.02).until(condition, what)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def at(self, path: str) -> None:
        """Wait until the browser is on this page."""
        self.wait(
            lambda d: (
                d.current_url.partition("?")[0] == self.url + path
                and d.execute_script("return document.readyState") == "complete"
            ),
            f"not on {path}",
        )

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def agree(self) -> None:
        self.click("input[name=agree]")
        self.click("button[type=submit]")

    def answer_questions(self) -> None:
        for select in self.all("main select"):
            Select(select).select_by_index(1)
        for field in self.all("main input[type=text]"):
            field.send_keys("here")
        self.click("button[type=submit]")

    def check_volume(self) -> None:
        self.click("button[data-sounds]")
        self.wait(lambda d: self.find("input[name=volume]").is_enabled(), "noise not heard")
        self.click("input[name=volume]")
        self.click("button[type=submit]")

    def heading(self) -> str:
        return self.text("#heading")

    def ready(self) -> None:
        """Wait for every clip of this trial."""
        script = "return !document.querySelector('.player .play[aria-disabled=true]')"
        self.wait(lambda d: d.execute_script(script), "no clip")

    def heard(self) -> None:
        """Wait until the sound has ended and the buttons are open."""
        self.wait(lambda d: self.can_rate(), "sound not heard")

    def can_rate(self) -> bool:
        return self.find("fieldset.scale input").is_enabled()

    def play(self) -> None:
        """Hear every clip of this trial, one after the other."""
        self.ready()
        for number, button in enumerate(self.all(".player .play")):
            button.click()
            self.wait(lambda d, n=number: self.was_heard(n), "sound not heard")
        self.heard()

    def was_heard(self, number: int) -> bool:
        return "heard" in str(self.all(".player")[number].get_attribute("class")).split()

    def rate(self, value: str) -> None:
        self.find(f"fieldset.scale input[value='{value}']").click()

    def next(self) -> None:
        before = self.heading()
        self.click("#next")
        self.wait(lambda d: self._moved(before), "no next trial")

    def _moved(self, before: str) -> bool:
        script = "const card = document.getElementById('card');"
        script += "return !card || card.hidden || document.getElementById('heading').textContent"
        return bool(self.driver.execute_script(script + " !== arguments[0]", before))

    def cut_network(self, *, off: bool) -> None:
        self.driver.set_network_conditions(offline=off, latency=0, throughput=-1)

    def colours(self, scheme: str) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )

    def axe(self) -> list[str]:
        """What axe-core finds wrong with the page, best practices included."""
        self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        result = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations']}).then(done);"
        )
        return [
            f"{found['id']}: {node['html']} {node.get('failureSummary', '')}"
            for found in result["violations"]
            for node in found["nodes"]
        ]


def newest(study: Study) -> dict[int, float | None]:
    """Trial number -> score (or button) of the session begun last; every answer is there once."""
    with study.database.read() as connection:
        answers = answered(connection, simulated=False)
    own = [item for item in answers if item.session_id == answers[-1].session_id]
    assert len({item.answer_id for item in own}) == len(own)
    return {item.number: item.score for item in own}


def press(listener: Listener, *keys: str) -> None:
    ActionChains(listener.driver).send_keys(*keys).perform()
