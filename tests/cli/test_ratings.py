from __future__ import annotations

import json
from pathlib import Path

import pytest

from humanclap.cli.main import EXIT_BAD_INPUT, run
from humanclap.ratings.read import read_ratings
from humanclap.tables import read_table, read_targets

HEADER = "audio,text,score,listener_id,kind,split,system\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Six pairs, two listeners; bob hears no difference between anchors and matching pairs."""
    rows = [
        f"{clip}.wav,text {clip},{score},{listener},rating,{split},tango\n"
        for clip, split, ann, bob in (
            (1, "train", 2, 9),
            (2, "train", 5, 9),
            (3, "train", 8, 9),
            (4, "test", 1, 9),
            (5, "test", 6, 9),
            (6, "test", 9, 9),
        )
        for listener, score in (("ann", ann), ("bob", bob))
    ]
    rows += [
        f"anchor{i}.wav,other,{score},{listener},anchor,train,tango\n"
        for i in range(3)
        for listener, score in (("ann", 0), ("bob", 8))
    ]
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + "".join(rows))
    return path


def test_summary_prints_a_table_and_tells_what_it_leaves_out(table, capsys):
    assert run(["ratings", "summary", str(table), "--screen", "relate"]) == 0
    shown = capsys.readouterr()
    header, _, everything, train, test, reason = shown.out.splitlines()
    assert header.split() == [
        *("question", "split", "system", "ratings", "pairs", "listeners", "mean", "MOS"),
        *("ICC", "LOO", "half", "SB"),
    ]
    assert everything.split()[1:8] == ["all", "tango", "6", "6", "1", "5.17", "5.17"]
    assert train.split()[1:] == ["train", "tango", "3", "3", "1", "5.00", "5.00", *"––––"]
    assert test.split()[6] == "5.33"
    assert reason == (
        "ICC, LOO, half, SB undefined (REL all tango, REL train tango, REL test tango): "
        "no pair has two ratings"
    )
    assert shown.err.splitlines() == [
        "relate: 9 of 18 ratings excluded",
        "3 ratings of kind anchor left out",
    ]


def test_summary_as_json_gives_null_with_its_reason(table, tmp_path, capsys):
    output = tmp_path / "summary.json"
    command = ["ratings", "summary", str(table), "--json", "--quiet", "-o", str(output)]
    assert run([*command, "--screen", "relate", "--split", "test"]) == 0
    (group,) = json.loads(output.read_text())
    assert (group["split"], group["n_listeners"]) == ("test", 1)
    assert group["reliability"]["icc"] is None
    assert group["reliability"]["undefined"]["icc"] == "no pair has two ratings"
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_screen_writes_what_is_kept_and_what_is_not(table, tmp_path, capsys):
    kept, excluded = tmp_path / "kept.csv", tmp_path / "excluded.csv"
    command = ["ratings", "screen", str(table), "--screen", "relate", "-o", str(kept)]
    assert run([*command, "--exclusions", str(excluded)]) == 0
    assert {r.listener_id for r in read_ratings(kept)} == {"ann"}
    rows = read_table(excluded).rows
    assert len(rows) == 9
    assert rows[0].cells["detail"] == "anchor mean 8.00, limit 2"
    assert rows[0].cells["line"] == "3"
    assert [line.split()[-4:] for line in capsys.readouterr().out.splitlines()[2:]] == [
        ["6", "3", "6", "1"],
        ["6", "3", "6", "1"],
    ]


def test_aggregate_writes_targets_with_or_without_anchors(table, tmp_path, capsys):
    output = tmp_path / "targets.csv"
    command = ["ratings", "aggregate", str(table), "-o", str(output)]
    assert run([*command, "--split", "train"]) == 0
    assert [(t.mos, t.n) for t in read_targets(output)] == [(5.5, 2), (7, 2), (8.5, 2)]
    assert "6 ratings are of other splits" in capsys.readouterr().err
    assert run([*command, "--include-anchors", "--json"]) == 0
    assert [t.kind for t in read_targets(output)] == ["rating"] * 6 + ["anchor"] * 3
    assert json.loads(capsys.readouterr().out)[1] == {
        "split": "train",
        "kind": "anchor",
        "rows": 3,
        "pairs": 3,
        "clips": 3,
        "captions": 1,
    }


def test_aggregate_standardises_each_listener_on_request(table, tmp_path, capsys):
    output = tmp_path / "targets.csv"
    assert run(["ratings", "aggregate", str(table), "--standardise", "-o", str(output)]) == 0
    mos = [t.mos for t in read_targets(output)]
    assert mos[3] < mos[0] < mos[1] < mos[4] < mos[2] < mos[5]
    assert "0 standardised ratings set to an end of the scale" in capsys.readouterr().err


def test_aggregate_takes_xacle_averages_as_they_are(tmp_path, capsys):
    averages, output = tmp_path / "average.csv", tmp_path / "targets.csv"
    averages.write_text("wav_file_name,text,average_score\n1.wav,a dog,7.5\n")
    assert run(["ratings", "aggregate", str(averages), "-o", str(output)]) == 0
    (target,) = read_targets(output)
    assert (target.audio, target.target, target.n) == ("1.wav", 0.75, 4)
    command = ["ratings", "aggregate", str(averages), "-o", str(output), "--screen", "spo"]
    assert run(command) == EXIT_BAD_INPUT
    assert "averages has no listeners to screen" in capsys.readouterr().err


def test_split_gives_ratings_and_targets_the_same_splits(table, tmp_path, capsys):
    targets, one, two = (tmp_path / name for name in ("targets.csv", "one.csv", "two.csv"))
    assert run(["ratings", "aggregate", str(table), "--include-anchors", "-o", str(targets)]) == 0
    options = ["--fractions", "train=0.5,test=0.5", "--seed", "3"]
    assert run(["ratings", "split", str(table), "-o", str(one), *options]) == 0
    assert run(["ratings", "split", str(targets), "-o", str(two), *options]) == 0
    of_ratings = {r.pair_id: r.split for r in read_ratings(one)}
    assert of_ratings == {t.pair_id: t.split for t in read_targets(two)}
    assert len({r.split for r in read_ratings(one) if r.text == "other"}) == 1


def test_question_chooses_among_several(tmp_path, capsys):
    path = tmp_path / "both.csv"
    path.write_text(
        "audio,text,score,listener_id,question\na.wav,x,7,1,REL\na.wav,x,3,1,IS\n", "utf-8"
    )
    command = ["ratings", "aggregate", str(path), "-o", str(tmp_path / "t.csv")]
    assert run(command) == EXIT_BAD_INPUT
    assert "choose one: --question" in capsys.readouterr().err
    assert run([*command, "--question", "IS"]) == 0
    assert read_targets(tmp_path / "t.csv")[0].mos == 3
    assert "1 ratings answer another question" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summary", "none.csv"], "none.csv: no such file"),
        (["summary"], "Missing argument 'FILES...'"),
        (["summary", "{table}", "--scale", "0-10"], "a rating scale is written low..high"),
        (["summary", "{table}", "--scale", "0..5"], ":3: rating 9 is outside 0..5"),
        (["summary", "{table}", "--screen", "magic"], "'magic' is not one of 'none', 'relate'"),
        (["summary", "{table}", "--screen", "published"], "the table does not tell its publisher"),
        (["summary", "{table}", "--split", "dev"], "no rating has split dev; there are: test"),
        (["summary", "{table}", "{table}"], "the file is given twice"),
        (["aggregate", "{table}"], "Missing option '-o'"),
        (["split", "{table}", "-o", "x.csv", "--fractions", "all"], "fractions are written"),
        (["summry", "{table}"], "No such command 'summry'"),
    ],
)
def test_bad_input_ends_with_code_two_and_its_reason(table, capsys, arguments, message):
    assert run(["ratings", *(a.replace("{table}", str(table)) for a in arguments)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["summary", "screen", "aggregate", "split"])
def test_help_shows_an_example(command, capsys):
    assert run(["ratings", command, "--help"]) == 0
    assert "Example: humanclap ratings" in capsys.readouterr().out


def test_summary_prints_relates_published_counts(shared, capsys):
    path = shared / "data" / "relate" / "scores" / "REL.csv"
    if not path.is_file():
        pytest.skip("RELATE's tables are not in shared/data/relate")
    assert run(["ratings", "summary", str(path), "--screen", "relate"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "all", "9963", "2862", "1085", "6.83"] in [row[1:7] for row in rows]
    assert ["validation", "all", "3897", "1287", "712", "6.72"] in [row[1:7] for row in rows]
    assert ["test", "all", "3900", "1311", "726", "6.75"] in [row[1:7] for row in rows]


def test_summary_says_in_words_why_halves_that_disagree_have_no_reliability(tmp_path, capsys):
    answers = [(0, 9), (1, 8), (2, 7), (3, 6)]
    rows = [
        f"{pair}.wav,sound {pair},{score},listener{place}"
        for pair, given in enumerate(answers)
        for place, score in enumerate(given)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["audio,text,score,listener_id", *rows]))
    assert run(["ratings", "summary", str(tmp_path / "t.csv"), "--quiet"]) == 0
    *_, row, reason = capsys.readouterr().out.splitlines()
    assert row.split()[-1] == "–"
    assert reason.startswith("SB undefined (REL – –): the halves disagree (split-half SRCC -")


@pytest.fixture
def five_points(tmp_path):
    path = tmp_path / "mos.csv"
    rows = [f"{p}.wav,sound {p},{s},l{n},test" for p in range(4) for n, s in enumerate((5, 4, 1))]
    path.write_text("\n".join(["audio,text,score,listener_id,split", *rows]) + "\n")
    return path


def test_aggregate_asks_for_the_scale_of_ratings_that_never_leave_one_to_five(
    five_points, tmp_path, capsys
):
    output = tmp_path / "t.csv"
    assert run(["ratings", "aggregate", str(five_points), "-o", str(output)]) == 2
    assert "no scale was given: state it, --scale 1..5 or --scale 0..10" in capsys.readouterr().err
    assert not output.exists()
    for scale, target in (("1..5", (10 / 3 - 1) / 4), ("0..10", 1 / 3)):
        command = ["ratings", "aggregate", str(five_points), "--scale", scale, "-o", str(output)]
        assert run([*command, "--split", "test"]) == 0
        assert read_targets(output)[0].target == pytest.approx(target)
    for command in ("summary", "screen", "split"):  # no figure of theirs depends on the scale
        more = [] if command == "summary" else ["-o", str(output)]
        assert run(["ratings", command, str(five_points), *more]) in (0, 2)
        assert "no scale was given" not in capsys.readouterr().err


def test_averages_are_asked_for_their_scale_too(tmp_path, capsys):
    path = tmp_path / "averages.csv"
    rows = [f"{p}.wav,sound {p},{1 + 0.4 * p}" for p in range(10)]
    path.write_text("\n".join(["wav_file_name,text,average_score", *rows]) + "\n")
    command = ["ratings", "aggregate", str(path), "-o", str(tmp_path / "t.csv")]
    assert run(command) == 2
    assert "all 10 ratings lie in 1..5" in capsys.readouterr().err
    assert run([*command, "--scale", "1..5"]) == 0
    assert read_targets(tmp_path / "t.csv")[-1].target == pytest.approx(0.9)
