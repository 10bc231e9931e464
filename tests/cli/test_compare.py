import json

import numpy as np
import pytest
import soundfile

from humanclap.cli.main import run
from humanclap.records import Score, Target
from humanclap.tables import read_scores, read_table, write_records


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Scores of two systems, each in its file, and targets for all clips."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    targets = []
    for system, level in (("tango", 0.5), ("audioldm", 0.3)):
        rows = [
            Score(audio=f"{system}/{i}.wav", text=f"sound {i}", score=level + 0.1 * rng.normal())
            for i in range(20)
        ]
        write_records(f"{system}.csv", rows, record_type=Score)
        targets += [
            Target(audio=r.audio, text=r.text, mos=round(10 * level), target=level, n=3)
            for r in rows
        ]
    write_records("targets.csv", targets, record_type=Target)
    return tmp_path


QUICK = ["--replicates", "60", "--permutations", "200"]


def test_compare_prints_every_table_and_writes_the_reports(folder, capsys):
    code = run(["compare", "tango.csv", "audioldm.csv", *QUICK,
                "--html", "l.html", "--markdown", "l.md"])  # fmt: skip
    assert code == 0
    out, err = capsys.readouterr()
    for title in ("Leaderboard", "Two by two", "Win matrix", "By caption type", "Lowest clips"):
        assert title in out
    assert "tango has the highest mean score" in out
    assert "signature    none in the tables" in out
    assert "compared as  humanclap:" in out
    assert "wrote l.html" in err
    assert "<h2>Win matrix</h2>" in (folder / "l.html").read_text(encoding="utf-8")


def test_compare_as_json(folder, capsys):
    assert run(["compare", "tango.csv", "audioldm.csv", *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [s["system"] for s in found["standings"]] == ["tango", "audioldm"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "tango.csv"], "comparing needs two"),
        (["compare", "tango.csv", "none.csv"], "none.csv: no such file"),
        (["compare", "tango.csv", "audioldm.csv", "--system", "x"], "no system x"),
        (["compare", "tango.csv", "tango.csv"], "one file name"),
        (["compare", "tango.csv", "audioldm.csv", "--power", "2"], "power is 2"),
        (["rerank", "none.csv"], "none.csv: no such file"),
        (["rerank", "tango.csv", "--targets", "targets.csv"], "have no score"),
        (["xacle", "evaluate", "tango.csv", "targets.csv"], "missing column"),
        (["xacle", "predict", "tango.csv", "-o", "s.csv"], "missing column 'wav_file_name'"),
    ],
)
def test_bad_input_ends_with_code_2_and_a_message(folder, capsys, arguments, message):
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_rerank_writes_the_best_of_each_prompt(folder, capsys):
    both = (folder / "tango.csv").read_text().splitlines()
    both += (folder / "audioldm.csv").read_text().splitlines()[1:]
    (folder / "both.csv").write_text("\n".join(both) + "\n")
    assert run(["rerank", "both.csv", "-o", "best.csv"]) == 0
    assert "40 clips, 20 prompts; 0 with one clip only" in capsys.readouterr().err
    assert len(read_table("best.csv").rows) == 20
    assert run(["rerank", "both.csv", "--targets", "targets.csv", "--replicates", "60"]) == 0
    out = capsys.readouterr().out
    assert out.split("\n")[0].split()[:5] == ["N", "prompts", "random", "chosen", "best"]
    assert run(["rerank", "both.csv", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 20


def test_rerank_keeps_systems_apart_unless_told_otherwise(folder, capsys):
    rows = [
        Score(
            audio=f"{s}/{i}{k}.wav",
            text=f"sound {i}",
            score=0.1 * k,
            system=s,
            pair_id=f"{s}{i}{k}",
        )
        for s in ("tango", "audioldm")
        for i in range(3)
        for k in range(2)
    ]
    write_records("both.csv", rows, record_type=Score)
    assert run(["rerank", "both.csv", "-o", "best.csv"]) == 0
    assert "12 clips, 6 prompts × systems (2); 0 with one clip only" in capsys.readouterr().err
    best = read_scores("best.csv")
    assert [(row.system, row.pair_id) for row in best[:2]] == [
        ("tango", "tango01"),
        ("tango", "tango11"),
    ]
    assert run(["compare", "best.csv", *QUICK]) == 0
    assert run(["rerank", "both.csv", "--across-systems", "-o", "best.csv"]) == 0
    assert "12 clips, 3 prompts; 0 with one clip only" in capsys.readouterr().err
    assert len(read_scores("best.csv")) == 3


def test_rerank_prints_why_there_is_no_interval(folder, capsys):
    rows = [Score(audio=f"{k}.wav", text="rain", score=0.1 * k) for k in range(2)]
    write_records("one.csv", rows, record_type=Score)
    targets = [Target(audio=r.audio, text=r.text, mos=5, target=0.5, n=3) for r in rows]
    write_records("t.csv", targets, record_type=Target)
    assert run(["rerank", "one.csv", "--targets", "t.csv"]) == 0
    *_, row, why, nothing = capsys.readouterr().out.splitlines()
    assert "nan" not in row
    assert why == "no interval of N = 2: one prompt only"
    assert nothing == "of possible, N = 2: no clip is better"


def test_xacle_evaluates_a_submission(folder, capsys):
    (folder / "sub.csv").write_text(
        "wav_file_name,pred_score\n" + "".join(f"{i},{i}\n" for i in range(8))
    )
    (folder / "avg.csv").write_text(
        "wav_file_name,text,average_score\n" + "".join(f"{i},t{i},{i / 2}\n" for i in range(8))
    )
    arguments = ["xacle", "evaluate", "sub.csv", "avg.csv", "--replicates", "60"]
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["srcc"] == 1.0
    assert run(arguments) == 0
    assert "8 pairs" in capsys.readouterr().out


def test_xacle_predicts_a_list_whole_or_not_at_all(folder, capsys):
    rng = np.random.default_rng(0)
    for name in ("a.wav", "b.wav"):
        soundfile.write(folder / name, 0.1 * rng.normal(size=16_000), 16_000)
    (folder / "list.csv").write_text("wav_file_name,text\na.wav,rain\nb.wav,a dog barks\n")
    assert run(["xacle", "predict", "list.csv", "-o", "sub.csv"]) == 0
    assert "2 predicted -> sub.csv  humanclap:" in capsys.readouterr().err
    rows = read_table("sub.csv").rows
    assert [row.text("wav_file_name") for row in rows] == ["a.wav", "b.wav"]
    assert all(0 <= row.number("pred_score") <= 10 for row in rows)
    (folder / "b.wav").unlink()
    assert run(["xacle", "predict", "list.csv", "-o", "other.csv"]) == 2
    assert "1 of 2 clips could not be scored: b.wav" in capsys.readouterr().err
    assert not (folder / "other.csv").exists()


def test_xacle_writes_nothing_over_its_list_and_nothing_of_an_unreadable_text(folder, capsys):
    soundfile.write("x.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    (folder / "l.csv").write_text("wav_file_name,text\nx.wav,犬が吠えている\n")
    assert run(["xacle", "predict", "l.csv", "-o", "l.csv"]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert run(["xacle", "predict", "l.csv", "-o", "s.csv"]) == 2
    assert (
        "1 of 1 clips could not be scored: x.wav (the model cannot read" in capsys.readouterr().err
    )
    assert not (folder / "s.csv").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "tango.csv", "audioldm.csv", "-o", "tango.csv"],
        ["compare", "tango.csv", "audioldm.csv", "--html", "audioldm.csv"],
        ["compare", "tango.csv", "audioldm.csv", "--html", "new.html", "--markdown", "new.html"],
        ["rerank", "tango.csv", "-o", "tango.csv"],
    ],
)
def test_no_result_is_written_over_what_is_read_or_over_another(folder, arguments, capsys):
    before = (folder / "tango.csv").read_text(), (folder / "audioldm.csv").read_text()
    assert run(arguments) == 2
    assert "name another file" in capsys.readouterr().err
    assert ((folder / "tango.csv").read_text(), (folder / "audioldm.csv").read_text()) == before


def test_a_report_named_json_is_json_and_is_never_written_under_a_table_s_name(folder, capsys):
    systems = ["compare", "tango.csv", "audioldm.csv", *QUICK, "-q"]
    assert run([*systems, "-o", "board.json"]) == 0
    assert json.loads((folder / "board.json").read_text())["prompts"] == 20
    assert run([*systems, "-o", "board.txt"]) == 0
    assert (folder / "board.txt").read_text().startswith("tango has the highest mean")
    assert run([*systems, "-o", "board.xlsx"]) == 2
    assert "is a report, not a table; name it .txt or .json" in capsys.readouterr().err
    assert run(["rerank", "tango.csv", "-q", "-o", "best.json"]) == 0
    assert len(json.loads((folder / "best.json").read_text())) == 20
    assert run([*systems, "-o", "-"]) == 0
    assert capsys.readouterr().out.startswith("tango has the highest mean")


def test_tables_for_a_paper_come_by_flag_or_by_the_name_of_the_output(folder, capsys):
    pair = ["compare", "tango.csv", "audioldm.csv", *QUICK]
    assert run([*pair, "--latex"]) == 0
    latex = capsys.readouterr().out
    assert latex.startswith("% needs")
    assert latex.count(r"\begin{table}") == 2
    assert run([*pair, "-o", "t.tex", "-q"]) == 0
    assert (folder / "t.tex").read_text() == latex
    assert run([*pair, "--markdown"]) == 0
    markdown = capsys.readouterr().out
    assert "| rank | system | mean score |" in markdown
    assert run([*pair, "--markdown", "-o", "t.md", "-q"]) == 0
    assert (folder / "t.md").read_text() == markdown
    assert run([*pair, "--markdown", "report.md", "-q"]) == 0  # a file: the whole report
    assert (folder / "report.md").read_text().startswith("# 2 systems compared on 20 prompts")
    assert "Two by two" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--latex", "-o", "t.md"], "are two formats; give one"),
        (["--latex", "--markdown"], "--latex and --markdown are two formats"),
        (["--latex", "--json"], "--json and --latex are two formats"),
        (["--json", "-o", "t.tex"], "--json and -o t.tex are two formats"),
        (["--figures", "targets.csv"], "is a file; --figures takes a folder"),
        (["--markdown", "tango.csv"], "would write a report over this table"),
    ],
)
def test_two_formats_are_refused_before_any_work(folder, capsys, arguments, message):
    pytest.importorskip("matplotlib", reason="humanclap[figures] is not installed")
    before = (folder / "tango.csv").read_text()
    assert run(["compare", "tango.csv", "audioldm.csv", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert (folder / "tango.csv").read_text() == before


def test_figures_are_written_and_named(folder, capsys):
    pytest.importorskip("matplotlib", reason="humanclap[figures] is not installed")
    assert run(["compare", "tango.csv", "audioldm.csv", *QUICK, "--figures", "f"]) == 0
    assert "wrote f/systems.svg" in capsys.readouterr().err.replace("\\", "/")
    assert len(list((folder / "f").iterdir())) == 4


def test_rerank_keeps_every_column_of_the_scores(folder, capsys):
    (folder / "s.csv").write_text(
        "seed,audio,text,score,margin\n7,a.wav,rain,0.1,\n8,b.wav,rain,0.4,0.9\n"
    )
    assert run(["rerank", "s.csv", "-o", "best.csv", "-q"]) == 0
    (row,) = read_table("best.csv").rows
    assert (row.cells["seed"], row.cells["margin_before"]) == ("8", "0.9")
    assert row.number("margin") == pytest.approx(0.3)
    assert run(["rerank", "s.csv", "-q"]) == 0
    assert capsys.readouterr().out.split("\n")[0].endswith(",seed,margin_before")
    assert run(["rerank", "s.csv", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["seed"] == "8"


def test_xacle_says_which_columns_its_format_has_no_place_for(folder, capsys):
    soundfile.write("a.wav", 0.1 * np.random.default_rng(0).normal(size=16_000), 16_000)
    (folder / "list.csv").write_text("wav_file_name,text,system\na.wav,rain,tango\n")
    assert run(["xacle", "predict", "list.csv", "-o", "sub.csv"]) == 0
    assert "no place for these columns of list.csv: system" in capsys.readouterr().err
    assert read_table("sub.csv").columns == ("wav_file_name", "pred_score")
