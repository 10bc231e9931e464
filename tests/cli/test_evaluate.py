import json
import math

import pytest

from humanclap.cli.main import run
from humanclap.records import Score, Target
from humanclap.tables import read_table, write_records

RANKS = [0.1, 0.4, 0.2, 0.5, 0.3, 0.7]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Six rated pairs, one anchor, and the scores of two metrics, in the working folder."""
    monkeypatch.chdir(tmp_path)
    targets = [
        Target(
            audio=f"{i}.wav",
            text=f"sound {i}",
            target=i / 10,
            mos=float(i),
            n=3,
            subset="natural" if i % 2 else "synthetic",
        )
        for i in range(6)
    ]
    anchor = Target(audio="x.wav", text="rain", target=0.0, mos=0.0, n=3, kind="anchor")
    write_records("targets.csv", [*targets, anchor], record_type=Target)
    for name, values in (("ours", RANKS), ("plain", RANKS[::-1])):
        scores = [
            Score(audio=t.audio, text=t.text, score=value)
            for t, value in zip(targets, values, strict=True)
        ]
        scores.append(Score(audio="x.wav", text="rain", score=-0.5))
        write_records(f"{name}.csv", scores, record_type=Score)
    return tmp_path


def evaluate(*arguments):
    return run(["evaluate", *arguments, "--replicates", "50"])


def test_the_table_has_the_figures_and_how_they_were_made(study, capsys):
    assert evaluate("ours.csv", "--targets", "targets.csv") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["n", "captions", "SRCC", "LCC", "KTAU", "pairwise", "MSE", "MAE"]
    # Ranks 1 4 2 5 3 6 against 1..6: sum d^2 = 10, so SRCC = 1 - 60 / 210.
    assert lines[2].split()[:4] == ["overall", "6", "6", "0.714"]
    assert "MSE and MAE after scale map 'unit': 10 · max(score, 0)" in out
    assert "Signature: none in the table" in out
    assert "Rows: missing 0, failed 0, extra 0" in out
    assert "Judged 6 of 7 targets; 1 anchor left out (--include-anchors judges them)." in out
    assert "bootstrap of 50 replicates clustered by caption, seed 0" in out
    assert err == ""


def test_json_has_the_figures_and_null_for_what_is_undefined(study, capsys):
    assert evaluate("ours.csv", "--targets", "targets.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    groups = {g["name"]: g["statistics"] for g in found["evaluations"][0]["groups"]}
    assert groups[""]["srcc"]["value"] == pytest.approx(1 - 60 / 210)
    assert groups["natural"]["srcc"]["n"] == 3


def test_predicted_ratings_with_an_error_get_their_coverage_in_words(study, capsys):
    targets = [
        Target(audio=f"{i}.wav", text=f"sound {i}", target=i / 10, mos=float(i), n=4,
               standard_error=1.0)
        for i in range(6)
    ]  # fmt: skip
    scores = [
        Score(audio=t.audio, text=t.text, score=t.target, rating=t.mos + 2, rating_error=1.0)
        for t in targets
    ]
    write_records("rated.csv", scores, record_type=Score)
    write_records("known.csv", targets, record_type=Target)
    assert evaluate("rated.csv", "--targets", "known.csv") == 0
    # All miss by 2 = 1.41 sqrt(1 + 4 / 4): outside 50 % and 80 % (1.28), within 95 % (1.96).
    assert (
        "(variance of one rating 4.000): 50 % hold 0.0 %, 80 % hold 0.0 % and 95 % hold 100.0 % of "
        "the mean ratings of 6 pairs\n"
    ) in capsys.readouterr().out


def test_anchors_are_judged_when_asked_for(study, capsys):
    assert evaluate("ours.csv", "--targets", "targets.csv", "--include-anchors") == 0
    assert "Judged 7 of 7 targets, of which 1 anchor." in capsys.readouterr().out


def test_several_tables_are_compared_with_the_first(study, capsys):
    assert evaluate("plain.csv", "ours.csv", "--targets", "targets.csv", "--by", "subset") == 0
    out = capsys.readouterr().out
    assert "ours - plain" in out
    assert "paired permutation test" in out
    assert "+1.429" in out  # 0.714 - (-0.714)


def test_tables_of_one_file_name_are_told_apart_by_their_path(study, capsys):
    (study / "old").mkdir()
    (study / "ours.csv").rename(study / "old" / "plain.csv")
    assert evaluate("plain.csv", "old/plain.csv", "--targets", "targets.csv", "--json") == 0
    names = [e["name"] for e in json.loads(capsys.readouterr().out)["evaluations"]]
    assert names == ["plain.csv", "old/plain.csv"]


def test_reports_and_pairs_are_written(study, capsys):
    arguments = ["--html", "r.html", "--markdown", "r.md", "--per-pair", "pairs.csv"]
    assert evaluate("ours.csv", "--targets", "targets.csv", *arguments, "--note", "SIMULATED") == 0
    assert "SIMULATED" in (study / "r.html").read_text(encoding="utf-8")
    assert "SIMULATED" in (study / "r.md").read_text(encoding="utf-8")
    assert len(read_table("pairs.csv").rows) == 6
    out, err = capsys.readouterr()
    assert out.startswith("SIMULATED")
    assert "wrote r.html" in err


def test_quiet_says_nothing_on_stderr_and_output_takes_the_table(study, capsys):
    assert evaluate("ours.csv", "--targets", "targets.csv", "--quiet", "-o", "table.txt") == 0
    assert capsys.readouterr() == ("", "")
    assert "overall" in (study / "table.txt").read_text(encoding="utf-8")


def test_an_undefined_figure_is_a_dash_with_its_reason_below(study, capsys):
    scores = [Score(audio=f"{i}.wav", text=f"sound {i}", score=0.5) for i in range(6)]
    write_records("flat.csv", scores, record_type=Score)
    assert evaluate("flat.csv", "--targets", "targets.csv") == 0
    out = capsys.readouterr().out
    assert "– SRCC, LCC, KTAU (all groups): the metric is constant" in out


def rewrite(name, keep):
    lines = (name).read_text(encoding="utf-8").splitlines()
    name.write_text("\n".join(keep(lines)) + "\n", encoding="utf-8")


def test_missing_scores_are_refused_then_allowed(study, capsys):
    rewrite(study / "ours.csv", lambda lines: lines[:5])
    assert evaluate("ours.csv", "--targets", "targets.csv") == 2
    assert "ours.csv: 2 of 6 targets in targets.csv have no score" in capsys.readouterr().err
    assert evaluate("ours.csv", "--targets", "targets.csv", "--allow-missing") == 0
    out = capsys.readouterr().out
    assert "missing 2, failed 0, extra 0" in out
    assert "2 targets without a score and 0 failed in ours" in out


def test_failed_rows_are_refused_then_allowed(study, capsys):
    failed = Score(audio="0.wav", text="sound 0", score=math.nan, error="empty file")
    scores = [Score(audio=f"{i}.wav", text=f"sound {i}", score=RANKS[i]) for i in range(1, 6)]
    write_records("some.csv", [failed, *scores], record_type=Score)
    assert evaluate("some.csv", "--targets", "targets.csv") == 2
    assert "(empty file)" in capsys.readouterr().err
    assert evaluate("some.csv", "--targets", "targets.csv", "--allow-missing") == 0


def test_a_row_that_stands_twice_is_refused_with_its_line(study, capsys):
    rewrite(study / "ours.csv", lambda lines: [*lines, lines[1]])
    assert evaluate("ours.csv", "--targets", "targets.csv") == 2
    assert "ours.csv:9: pair" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ours.csv", "--targets", "none.csv"], "none.csv: no such file"),
        (["none.csv", "--targets", "targets.csv"], "none.csv: no such file"),
        (["targets.csv", "--targets", "targets.csv"], "missing column 'score'"),
        (["ours.csv", "--targets", "ours.csv"], "missing column 'target', 'mos', 'n'"),
        (["ours.csv"], "Missing option '--targets'"),
        (["--targets", "targets.csv"], "Missing argument 'SCORES...'"),
        (["ours.csv", "--targets", "targets.csv", "--scale-map", "rating"], "have no rating"),
        (["ours.csv", "--targets", "targets.csv", "--key", "order"], "'order' is not one of"),
        (["ours.csv", "--targets", "targets.csv", "--rating-scale", "1..3"], "outside 1..3"),
        (["ours.csv", "ours.csv", "--targets", "targets.csv"], "one name"),
        (["ours.csv", "plain.csv", "--targets", "targets.csv", "--per-pair", "p"], "--per-pair"),
        (["ours.csv", "--targets", "targets.csv", "--html", "targets.csv/r.html"], "targets.csv"),
    ],
)
def test_bad_input_ends_with_code_2_and_a_message(study, capsys, arguments, message):
    assert evaluate(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_too_few_replicates_are_refused(study, capsys):
    assert run(["evaluate", "ours.csv", "--targets", "targets.csv", "--replicates", "9"]) == 2
    assert "needs at least 40" in capsys.readouterr().err


def test_help_has_an_example(capsys):
    assert run(["evaluate", "--help"]) == 0
    assert "humanclap evaluate scores.csv --targets targets.csv" in capsys.readouterr().out


def test_tables_for_a_paper_instead_of_the_report(study, capsys):
    both = ["ours.csv", "plain.csv", "--targets", "targets.csv"]
    assert evaluate(*both, "--latex", "-q") == 0
    latex = capsys.readouterr().out
    assert r"\label{tab:agreement}" in latex
    assert evaluate(*both, "-o", "t.tex", "-q") == 0
    assert (study / "t.tex").read_text() == latex
    assert evaluate(*both, "--markdown", "-q") == 0
    assert "| ours | 0.714 [" in capsys.readouterr().out
    assert evaluate(*both, "--latex", "--json") == 2


def test_figures_are_written_into_a_folder(study, capsys):
    pytest.importorskip("matplotlib", reason="humanclap[figures] is not installed")
    assert evaluate("ours.csv", "--targets", "targets.csv", "--figures", "f") == 0
    assert "ours-ranks.pdf" in capsys.readouterr().err
    assert {path.suffix for path in (study / "f").iterdir()} == {".svg", ".pdf"}
    assert evaluate("ours.csv", "--targets", "targets.csv", "--figures", "ours.csv") == 2
    assert "would be overwritten" in capsys.readouterr().err


def test_the_table_of_pairs_keeps_the_columns_of_both_tables(study):
    rows = (study / "ours.csv").read_text().splitlines()
    rows = [f"{row},{'seed' if i == 0 else 40 + i}" for i, row in enumerate(rows)]
    (study / "seeded.csv").write_text("\n".join(rows) + "\n")
    given = ["--targets", "targets.csv", "--per-pair", "pairs.csv", "-q"]
    assert evaluate("seeded.csv", *given) == 0
    table = read_table("pairs.csv")
    assert {row.text("audio"): row.text("seed") for row in table.rows} == {
        f"{i}.wav": str(41 + i) for i in range(6)
    }
    assert "target" in table.columns
