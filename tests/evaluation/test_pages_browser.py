"""Every kind of report in headless Chromium, at every width: nothing runs off the edge."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed (the extra dev brings it)")

from ..listening.browser import chromium, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

SCRIPT = Path(__file__).resolve().parents[2] / "docs/reports/screenshots.py"
CUT_OFF = """
const found = [];
for (const item of document.querySelectorAll(".what, .value, h1, h2, h3, p, li, .card, figure")) {
  const box = item.getBoundingClientRect();
  const outside = box.left < 0 || box.right > window.innerWidth + 1;
  const cut = item.clientWidth && item.scrollWidth > item.clientWidth + 1;
  if (outside || cut) found.push(item.textContent);
}
for (const cell of document.querySelectorAll("td.first, .what"))
  if (cell.textContent.length > 8 && cell.clientWidth && cell.clientWidth < 60)
    found.push("narrow: " + cell.textContent);
return found;
"""


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("report_screenshots", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_no_report_is_wider_than_its_screen_and_no_name_is_cut_off(script, tmp_path):
    pages = script.make_reports(tmp_path, tuple(script.COMMANDS))
    with chromium() as driver:
        for look in script.EVERY:
            wide, _ = script.show(driver, pages[look.report], look)
            assert wide <= look.width, look.name
            assert driver.execute_script(CUT_OFF) == [], look.name


def test_the_pictures_in_the_docs_are_those_the_script_keeps_and_are_small(script):
    kept = {path.name for path in SCRIPT.parent.glob("*.webp")}
    assert kept == {f"{look.name}.webp" for look in script.KEPT}
    assert sum((SCRIPT.parent / name).stat().st_size for name in kept) < 400_000
