import json

import numpy as np
import pytest

from humanclap.choices import write_choices
from humanclap.cli.main import run
from humanclap.records import Choice, Score, Target
from humanclap.tables import write_records

QUICK = ["--replicates", "60", "--permutations", "50"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An A/B test of two systems, scores of their clips by two metrics, and ratings of them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    choices, rows, targets = [], {"ours": [], "plain": []}, []
    for i in range(34):
        clips = {system: f"{system}/{i}.wav" for system in ("tango", "audioldm")}
        for listener in range(3):
            choice = "first" if rng.random() < 0.7 else "second"
            choices.append(
                Choice(audio_a=clips["tango"], audio_b=clips["audioldm"], text_a=f"sound {i}",
                       text_b=f"sound {i}", choice=choice, listener_id=f"L{listener}",
                       system_a="tango", system_b="audioldm", kind="odd" if i % 2 else "even")
            )  # fmt: skip
        for system, audio in clips.items():
            level = 0.6 if system == "tango" else 0.4
            for noise, scores in zip((0.1, 0.5), rows.values(), strict=True):
                scores.append(Score(audio=audio, text=f"sound {i}", system=system,
                                    score=level + noise * rng.normal()))  # fmt: skip
            targets.append(Target(audio=audio, text=f"sound {i}", target=level, n=3,
                                  mos=round(10 * level + rng.normal(), 1)))  # fmt: skip
    write_choices("choices.csv", choices)
    for name, scores in rows.items():
        write_records(f"{name}.csv", scores, record_type=Score)
    write_records("targets.csv", targets, record_type=Target)
    return tmp_path


def test_evaluate_judges_by_choices_alone(folder, capsys):
    code = run(["evaluate", "ours.csv", "plain.csv", "--choices", "choices.csv", *QUICK,
                "--html", "r.html", "--markdown", "r.md", "--note", "SIMULATED"])  # fmt: skip
    assert code == 0
    out, err = capsys.readouterr()
    assert out.startswith("SIMULATED\n")
    assert "People's choices\n" in out
    assert "best possible given the votes" in out
    assert "plain - ours" in out
    assert "Judged 34 of 34 questions" in out
    assert "wrote r.html" in err
    assert "kind odd" in (folder / "r.html").read_text(encoding="utf-8")
    assert "SIMULATED" in (folder / "r.md").read_text(encoding="utf-8")


def test_evaluate_as_json_and_without_scores(folder, capsys):
    assert run(["evaluate", "--choices", "choices.csv", *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["choices"]
    assert found["floors"] == ["system's share, others' choices"]
    assert found["counts"]["judged"] == 34
    assert found["metrics"] == []


def test_choices_stand_beside_ratings(folder, capsys):
    given = ["evaluate", "ours.csv", "--targets", "targets.csv", "--choices", "choices.csv"]
    assert run([*given, *QUICK]) == 0
    out = capsys.readouterr().out
    assert out.index("People's choices") < out.index("overall ")
    assert "Rows: missing 0, failed 0, extra 0" in out
    assert run([*given, *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["evaluations"][0]["name"] == "ours"
    assert found["choices"]["metrics"][0]["name"] == "ours"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "ours.csv"], "Missing option '--targets' (or '--choices')"),
        (["evaluate", "ours.csv", "--choices", "choices.csv", "--floor", "targets.csv"],
         "--floor is of ratings: it needs --targets"),
        (["evaluate", "ours.csv", "--choices", "targets.csv"], "not a table of choices"),
        (["evaluate", "ours.csv", "--choices", "none.csv"], "none.csv: no such file"),
        (["evaluate", "ours.csv", "--choices", "choices.csv", "--audio-root", "."],
         "--audio-root is of ratings"),
        (["compare", "--choices", "choices.csv", "--audio-root", "."], "plays the clips of SCORES"),
        (["compare"], "Missing argument 'SCORES...' (only --choices does without)"),
        (["compare", "--choices", "ours.csv"], "not a table of choices"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_told(folder, capsys, arguments, message):
    assert run(arguments) == 2
    assert message in capsys.readouterr().err


def test_compare_ranks_by_choices_beside_the_metric(folder, capsys):
    code = run(["compare", "ours.csv", "--choices", "choices.csv", *QUICK,
                "--html", "l.html", "--markdown", "l.md"])  # fmt: skip
    assert code == 0
    out = capsys.readouterr().out
    for title in ("People's ranking", "People, two by two", "People's win matrix", "Leaderboard"):
        assert f"\n{title}\n" in out
    assert "Kendall's tau 1.000" in out
    assert "Log strength by people" in (folder / "l.html").read_text(encoding="utf-8")
    assert run(["compare", "ours.csv", "--choices", "choices.csv", *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["system"] for one in found["people"]["systems"]] == ["tango", "audioldm"]


def test_compare_ranks_by_choices_alone(folder, capsys):
    code = run(["compare", "--choices", "choices.csv", *QUICK, "--html", "p.html",
                "--markdown", "p.md", "-o", "p.txt"])  # fmt: skip
    assert code == 0
    text = (folder / "p.txt").read_text(encoding="utf-8")
    assert text.startswith("People chose tango most: log strength ")
    assert "metric" not in text
    assert "2 systems ranked" in (folder / "p.html").read_text(encoding="utf-8")
    assert "2 systems ranked" in (folder / "p.md").read_text(encoding="utf-8")
    assert run(["compare", "--choices", "choices.csv", *QUICK, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["people"]["votes"] == 102


def test_tables_and_figures_for_a_paper_have_choices_too(folder, capsys):
    given = {
        "judged": ["evaluate", "ours.csv", "--choices", "choices.csv"],
        "both": ["evaluate", "ours.csv", "--choices", "choices.csv", "--targets", "targets.csv"],
        "ranked": ["compare", "--choices", "choices.csv"],
        "compared": ["compare", "ours.csv", "--choices", "choices.csv"],
    }
    for name, arguments in given.items():
        assert run([*arguments, *QUICK, "--latex", "--figures", name]) == 0
        out = capsys.readouterr().out
        what = "choices" if arguments[0] == "evaluate" else "ranking"
        assert f"tab:people-{what}" in out
        assert (folder / name / f"people-{what}.svg").is_file()
        assert (folder / name / f"people-{what}.pdf").is_file()
    assert run([*given["ranked"], *QUICK, "--markdown"]) == 0
    assert "| tango |" in capsys.readouterr().out
