import json
import re
from pathlib import Path

import numpy as np
import pytest

from humanclap.clap.checkpoint import read_calibration
from humanclap.cli.main import run
from humanclap.errors import CheckpointError
from humanclap.records import Score, Target
from humanclap.tables import write_records

MINI = (
    "humanclap:0.1.0|model:mini@d2b10d51|rate:32000|window:10s|hop:10s|fill:wrap|pool:mean|"
    "precision:fp32"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """old.csv and tables that gained, lost, or lost about as much as is allowed."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    rng = np.random.default_rng(2)
    levels, noise = rng.uniform(0.2, 0.5, 40), rng.normal(0, 0.05, 40)
    noise -= noise.mean()
    mini = read_calibration("mini")
    for name, shift in (("old", 0.0), ("good", 0.02), ("bad", -0.1), ("near", -0.02)):
        scores = levels if name == "old" else levels + noise + shift
        rows = [
            Score(audio=f"{name}/{i}.wav", text=f"sound {i}", score=float(value),
                  rating=mini.rating(value), rating_error=mini.standard_error(value),
                  rating_covers="natural", signature=MINI)
            for i, value in enumerate(scores)
        ]  # fmt: skip
        write_records(f"{name}.csv", rows, record_type=Score)
    write_records("good.parquet", rows[:0] or rows, record_type=Score)
    return tmp_path


BASELINE = ["--baseline", "old.csv", "--margin", "0.02"]


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("bad", 1), ("near", 3)])
def test_the_exit_code_is_the_verdict(folder, capsys, name, code):
    assert run(["gate", f"{name}.csv", *BASELINE]) == code
    out, err = capsys.readouterr()
    assert out.startswith({0: "PASS: ", 1: "FAIL: ", 3: "NOT ENOUGH PROMPTS TO TELL: "}[code])
    assert "Prompts that lost the most" in out
    assert err == ""


def test_a_user_says_what_not_enough_prompts_mean(folder, capsys):
    assert run(["gate", "near.csv", *BASELINE, "--undecided", "pass"]) == 0
    assert run(["gate", "near.csv", *BASELINE, "--undecided", "fail"]) == 1
    assert run(["gate", "bad.csv", *BASELINE, "--undecided", "pass"]) == 1


def test_json_has_the_verdict_the_figures_and_the_sentences(folder, capsys):
    assert run(["gate", "near.csv", *BASELINE, "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["exit_code"]) == ("undecided", 3)
    (check,) = found["checks"]
    assert check["estimate"] == pytest.approx(-0.02)
    assert check["needed_as_seen"] is None or check["needed_as_seen"] > 1000
    assert found["told"][0].startswith("NOT ENOUGH PROMPTS")
    assert run(["gate", "good.csv", *BASELINE, "-o", "gate.json"]) == 0
    assert json.loads(Path("gate.json").read_text())["verdict"] == "pass"


def test_a_rating_has_the_error_of_the_map_that_the_signature_names(folder, capsys):
    assert run(["gate", "good.csv", "--min-rating", "4", "--json"]) == 0
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    mini = read_calibration("mini")
    scores = [float(row.split(",")[2]) for row in Path("good.csv").read_text().splitlines()[1:]]
    assert check["map_error"] == pytest.approx(np.mean([mini.map_error(x) for x in scores]))
    assert run(["gate", "good.csv", "--min-rating", "4", "--model", "mini"]) == 0
    assert "fitted on natural sound only" in capsys.readouterr().out


def test_ratings_of_another_map_are_not_taken_for_those_of_the_model(folder, capsys):
    text = Path("good.csv").read_text()
    head, *rows = text.splitlines()
    place = head.split(",").index("rating")
    cells = [row.split(",") for row in rows]
    for row in cells:
        row[place] = "5.5"
    Path("good.csv").write_text("\n".join([head, *map(",".join, cells)]) + "\n")
    assert run(["gate", "good.csv", "--min-rating", "4", "--model", "mini"]) == 2
    assert "are not those of the map of mini" in capsys.readouterr().err
    assert run(["gate", "good.csv", "--min-rating", "4"]) == 3  # all of the error is shared
    assert "--model names the model" in capsys.readouterr().out


def test_a_summary_is_appended_and_an_annotation_stands_on_stderr(folder, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    Path("step.md").write_text("before\n")
    assert run(["gate", "bad.csv", *BASELINE]) == 1
    out, err = capsys.readouterr()
    assert "::" not in out
    assert re.search(r"^::error title=humanclap gate::FAIL: .*95 %25", err, re.M)
    text = Path("step.md").read_text()
    assert text.startswith("before\n### ❌ FAIL: ")
    assert "| difference | – | 40 | 40 / 40 |" in text
    assert run(["gate", "good.csv", *BASELINE, "--summary", "own.md", "-q"]) == 0
    assert Path("step.md").read_text() == text
    assert Path("own.md").read_text().startswith("### ✅ PASS")
    assert "::notice " in capsys.readouterr().err
    assert run(["gate", "near.csv", *BASELINE, "--undecided", "pass", "-q"]) == 0
    assert "::warning " in capsys.readouterr().err


def test_a_page_of_github_that_cannot_be_written_does_not_change_the_verdict(
    folder, capsys, monkeypatch
):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder))
    assert run(["gate", "bad.csv", *BASELINE, "-q"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("FAIL: ")
    assert err == f"warning: no summary, as {folder} cannot be written: Is a directory\n"


def test_without_github_nothing_is_appended(folder):
    before = sorted(p.name for p in folder.iterdir())
    assert run(["gate", "good.csv", *BASELINE]) == 0
    assert sorted(p.name for p in folder.iterdir()) == before


def test_parquet_is_read_as_csv_is(folder, capsys):
    pytest.importorskip("pyarrow", reason="humanclap[parquet] is not installed")
    assert run(["gate", "good.parquet", *BASELINE]) == 3  # it has the rows of near.csv
    assert run(["gate", "near.csv", *BASELINE]) == 3
    first, second = capsys.readouterr().out.split("NOT ENOUGH")[1:]
    assert first == second


def test_the_per_pair_table_of_an_evaluation_is_read_too(folder, capsys):
    targets = [
        Target(audio=f"good/{i}.wav", text=f"sound {i}", target=i / 40, mos=i / 4, n=3)
        for i in range(40)
    ]
    write_records("targets.csv", targets, record_type=Target)
    assert run(["evaluate", "good.csv", "--targets", "targets.csv", "--replicates", "60",
                "--permutations", "0", "--per-pair", "pairs.csv", "-q"]) == 0  # fmt: skip
    capsys.readouterr()
    found = []
    for name in ("pairs.csv", "good.csv"):
        assert run(["gate", name, *BASELINE, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["checks"] == found[1]["checks"]
    assert found[0]["signature"] == found[1]["signature"] == MINI


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good.csv"], "nothing is asked"),
        (["good.csv", "--margin", "0.02"], "needs a baseline"),
        (["good.csv", "--baseline", "old.csv"], "needs a margin"),
        (["good.csv", "--baseline", "none.csv", "--margin", "0.02"], "none.csv: no such file"),
        (["good.csv", "--metric", "fad", "--min-score", "1"], "missing column 'fad'"),
        (["good.csv", "--min-rating", "4", "--model", "none"], "none: neither a packaged model"),
        (["good.csv", *BASELINE, "--model", "mini"], "it needs --min-rating"),
        (["good.csv", *BASELINE, "--margin", "-1"], "0 or above"),
        (["good.csv", *BASELINE, "--summary", "old.csv"], "would be overwritten"),
        (["good.csv", *BASELINE, "--summary", "no/such/folder.md"], "no/such/folder.md"),
        (["good.csv", *BASELINE, "-o", "table.csv"], "a report, not a table"),
    ],
)
def test_bad_input_ends_with_code_2_and_a_message(folder, capsys, arguments, message):
    assert run(["gate", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_the_map_of_a_model_is_read_without_the_model(tmp_path):
    assert read_calibration("mini").map_error(0.2) < 1
    with pytest.raises(CheckpointError, match="neither a packaged model nor a folder"):
        read_calibration(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "humanclap.json").write_text('{"calibration": null}')
    assert read_calibration(tmp_path) is None
