from __future__ import annotations

import subprocess
import sys

import pytest

from humanclap.cli import main as cli
from humanclap.cli.main import COMMANDS, humanclap, run


def in_fresh_process(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


@pytest.mark.parametrize(
    "code",
    ["import humanclap", "from humanclap.cli.main import run; assert run(['--help']) == 0"],
)
def test_import_and_help_load_neither_torch_nor_transformers(code: str) -> None:
    heavy = "{'torch', 'transformers', 'scipy', 'numpy', 'soundfile'} & set(sys.modules)"
    assert in_fresh_process(f"import sys\n{code}\nprint({heavy})").endswith("set()")


def test_every_command_loads_and_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"Usage: humanclap {name}")
        assert "Example" in shown


def test_help_lists_the_commands_in_the_order_of_the_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_a_slip_of_the_pen_is_told_the_likely_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scroe"]) == 2
    assert "(did you mean score?)" in capsys.readouterr().err


def test_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--frobnicate"]) == 2
    assert "No such option" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "scores.csv"), 2, "scores.csv: No space left"),
    ],
)
def test_failures_become_messages_and_exit_codes(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(humanclap, "invoke", fail)
    assert run(["score", "x.wav", "y"]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_HUMANCLAP_COMPLETE" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert "0.1.0" in capsys.readouterr().out


def test_main_exits_with_the_code_of_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "run", lambda _: 1)
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 1
