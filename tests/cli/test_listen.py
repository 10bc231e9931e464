from __future__ import annotations

import csv
import http.client
import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from humanclap.cli.main import run
from humanclap.demo.panel import make_pairs

DESIGN = """
title = "The whole line"
[quota]
ratings_per_pair = 3
[session]
pairs = 16
anchors = 2
attention_checks = 1
practice = 1
volume_check = false
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 synthesised clips of four seconds, their table and what each is worth."""
    folder = tmp_path_factory.mktemp("clips")
    made = make_pairs(folder, n_scenes=8, generator=np.random.default_rng(0))
    with open(folder / "pairs.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "system", "subset", "relevance"])
        for item in made:
            pair = item.pair
            writer.writerow([pair.audio, pair.text, pair.system, pair.subset, item.relevance])
    return folder


@pytest.fixture
def study(tmp_path: Path, clips: Path) -> Path:
    design = tmp_path / "study.toml"
    design.write_text(DESIGN)
    assert run(["listen", "new", str(design), "--pairs", str(clips / "pairs.csv"), "-q"]) == 0
    return tmp_path / "study.sqlite"


def test_new_writes_a_design_to_start_from_and_makes_the_study_of_it(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = tmp_path / "my.toml"
    assert run(["listen", "new", str(design)]) == 0
    assert run(["listen", "new", str(design)]) == 2
    assert "is there already" in capsys.readouterr().err
    pairs = ["--pairs", str(clips / "pairs.csv")]
    assert run(["listen", "new", str(design), *pairs, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["pairs"], made["ratings_wanted"]) == (32, 256)
    assert run(["listen", "new", str(design), *pairs]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert run(["listen", "new", str(design), *pairs, "--replace-empty"]) == 0
    assert "must be started again" in capsys.readouterr().err


def test_new_prints_the_command_that_comes_next_fit_to_be_pasted(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = tmp_path / "my study.toml"
    pairs = str(clips / "pairs.csv")
    assert run(["listen", "new", str(design)]) == 0
    [line] = capsys.readouterr().err.splitlines()
    words = shlex.split(line.partition("then: ")[2])
    assert words == ["humanclap", "listen", "new", str(design), "--pairs", "pairs.csv"]
    assert run([*words[1:4], "--pairs", pairs]) == 0
    line = capsys.readouterr().err.splitlines()[-1]
    study = str(tmp_path / "my study.sqlite")
    assert shlex.split(line.removeprefix("next: ")) == ["humanclap", "listen", "serve", study]
    assert run(["listen", "simulate", study, "--listeners", "1"]) == 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert run(shlex.split(line.removeprefix("see them: "))[1:]) == 0
    assert "SIMULATED LISTENERS" in capsys.readouterr().out


def test_new_says_what_a_researcher_may_not_expect(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "nothing.wav", np.zeros(8000), 8000)
    (tmp_path / "pairs.csv").write_text(
        f"audio,text\n{clips}/reference/000.flac,a dog\nnothing.wav,rain\n"
    )
    design = tmp_path / "study.toml"
    design.write_text('title = "T"\n[session]\nanchors = 0\n')
    new = ["listen", "new", str(design), "--pairs", str(tmp_path / "pairs.csv")]
    assert run(new) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 3
    assert "rates 2 sounds, not 18" in notes[0]
    assert "0 practice sounds, not 2" in notes[1]
    assert "nothing.wav" in notes[2]
    assert run([*new, "--replace-empty", "--json", "-q"]) == 0
    shown = capsys.readouterr()
    assert [f"note: {note}" for note in json.loads(shown.out)["notes"]] == notes
    assert shown.err == ""


def test_the_next_command_of_a_database_url_holds_no_password() -> None:
    from humanclap.cli.listen_options import next_command

    shown = next_command("serve", "postgresql+psycopg://me:secret@host/study")
    assert shown.startswith("humanclap listen serve ")
    assert "HUMANCLAP_STUDY" in shown
    assert "secret" not in shown


def test_an_unknown_key_is_named_with_its_file(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = tmp_path / "study.toml"
    design.write_text('title = "T"\n[session]\npair = 3\n')
    assert run(["listen", "new", str(design), "--pairs", str(clips / "pairs.csv")]) == 2
    assert "study.toml: [session] unknown setting 'pair'" in capsys.readouterr().err


def test_status_and_close_of_a_fresh_study(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["listen", "status", str(study), "--json"]) == 0
    view = json.loads(capsys.readouterr().out)
    assert (view["state"], view["ratings_wanted"], view["ratings_answered"]) == ("open", 96, 0)
    assert view["agreement"][0]["icc"] is None
    assert run(["listen", "close", str(study)]) == 0
    assert run(["listen", "status", str(study), "--pairs"]) == 0
    shown = capsys.readouterr().out
    assert ": closed" in shown
    assert "reference/000.flac" in shown
    assert run(["listen", "close", str(study), "--reopen"]) == 0
    assert run(["listen", "export", str(study), "-o", str(study.parent / "out")]) == 2
    assert "no answers yet" in capsys.readouterr().err


def test_without_the_extra_the_cure_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert run(["listen", "status", "study.sqlite"]) == 2
    assert "pip install 'humanclap[listen]'" in capsys.readouterr().err


def test_a_study_that_is_not_there_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["listen", "status", "none.sqlite"]) == 2
    assert "no such study" in capsys.readouterr().err


def test_serve_prints_where_and_a_token_that_opens_the_admin_page(study: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "HUMANCLAP_ADMIN_TOKEN"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "humanclap", "listen", "serve", str(study), "--port", port]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stderr is not None
            lines = [server.stderr.readline() for _ in range(3)]
            token = lines[2].removeprefix("admin token: ").strip()
            assert lines[1].strip().endswith(f":{port}/admin")
            assert _login(f"127.0.0.1:{port}", token) == 303
            assert _login(f"127.0.0.1:{port}", "guess") == 401
        finally:
            server.terminate()
            server.wait(timeout=20)


def _login(place: str, token: str) -> int:
    import time

    for _ in range(200):
        connection = http.client.HTTPConnection(place, timeout=10)
        try:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/admin/login", f"token={token}", kind)
            return connection.getresponse().status
        except ConnectionRefusedError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise AssertionError("the server does not answer")


def test_a_simulated_study_is_collected_trained_on_and_evaluated_without_a_touch(
    study: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from humanclap.clap.checkpoint import Checkpoint, save_checkpoint
    from humanclap.clap.mini import MiniCLAP, MiniConfig

    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_checkpoint(Checkpoint(MiniCLAP(MiniConfig.tiny())), tmp_path / "tiny")
    out = tmp_path / "out"
    truth = clips / "pairs.csv"
    for line in (
        f"listen simulate {study} --listeners 6 --truth {truth} --careless 0 --json",
        f"listen export {study} --simulated -o {out}",
        f"ratings aggregate {out}/ratings.csv --screen attention -o {out}/all.csv",
        f"ratings split {out}/all.csv --fractions train=0.7,validation=0.3 -o {out}/targets.csv",
        f"train {out}/targets.csv -o {out}/run -m {tmp_path}/tiny --audio-root {clips} --epochs 1",
        f"score {out}/targets.csv -m {out}/run/checkpoint --audio-root {clips} -o {out}/scores.csv",
        f"evaluate {out}/scores.csv --targets {out}/targets.csv --json",
    ):
        assert run([*line.split(), "-q"]) == 0, capsys.readouterr().err
        shown = capsys.readouterr().out
        if line.startswith("listen simulate"):
            assert json.loads(shown)["finished"] == 6
    assert "srcc" in shown


@pytest.mark.parametrize("trial", ["clips", "texts"])
def test_an_a_b_study_goes_from_its_starter_to_choices(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str], trial: str
) -> None:
    from humanclap.choices import read_choices

    design, study, pairs = (tmp_path / name for name in ("ab.toml", "ab.sqlite", "ab.csv"))
    assert run(["listen", "new", str(design), "--trial", trial]) == 0
    assert "--pairs comparisons.csv" in capsys.readouterr().err
    text = design.read_text().replace("choices_per_comparison = 8", "choices_per_comparison = 2")
    design.write_text(text.replace("pairs = 18", "pairs = 4").replace("anchors = 3", "anchors = 1"))
    with open(clips / "pairs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = list(dict.fromkeys(row["text"] for row in rows))
    with open(pairs, "w", newline="") as file:
        writer = csv.writer(file)
        if trial == "clips":
            writer.writerow(["text", "audio_a", "audio_b", "system_a", "system_b"])
            for one, other in [rows[i : i + 2] for i in range(0, len(rows), 4)]:
                audio = [f"{clips}/{row['audio']}" for row in (one, other)]
                writer.writerow([one["text"], *audio, one["system"], other["system"]])
        else:
            writer.writerow(["audio", "text_a", "text_b", "kind"])
            for row in rows[::4]:
                longer = f"{row['text']}, quite near"
                writer.writerow([f"{clips}/{row['audio']}", row["text"], longer, "HC"])
    assert len(texts) == 8
    new = ["listen", "new", str(design), "--pairs", str(pairs)]
    assert run([*new, "--trial", trial]) == 2
    assert "is for a new DESIGN" in capsys.readouterr().err
    assert run([*new, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["comparisons"], made["choices_wanted"]) == (8, 16)
    assert run(["listen", "simulate", str(study), "--listeners", "4", "-q"]) == 0
    assert "comparisons and takes a person" in capsys.readouterr().out
    assert run(["listen", "status", str(study), "--simulated"]) == 0
    assert "choices: 16 of 16" in capsys.readouterr().out
    out = tmp_path / "out"
    assert run(["listen", "export", str(study), "-o", str(out), "--simulated"]) == 0
    assert "these choices are SIMULATED" in capsys.readouterr().err
    asked = [one for one in read_choices(out / "choices.csv") if not one.is_check]
    assert len(asked) == 16
    assert {one.between for one in asked} == {trial}
