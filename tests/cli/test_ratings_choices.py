"""`humanclap ratings` on tables of choices."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from humanclap.choices import read_choices, read_votes
from humanclap.cli.main import EXIT_BAD_INPUT, run
from humanclap.tables import read_table

ROOT = Path(__file__).resolve().parents[2]
HEADER = "audio,text_a,text_b,choice,listener_id,kind,expected,split,shown_first"
ROWS = """
1.wav,a,b,first,ann,HC,,train,a
1.wav,b,a,second,bob,HC,,train,a
1.wav,a,b,equal,cy,HC,,train,b
2.wav,c,d,second,ann,HM,,test,b
2.wav,d,c,first,ann,HM,,test,b
2.wav,c,d,first,bob,HM,,test,a
3.wav,e,f,first,ann,anchor,first,test,a
3.wav,e,f,second,bob,anchor,first,test,a
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "choices.csv"
    path.write_text(HEADER + ROWS, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The made-up study of the documentation."""
    script = ROOT / "examples" / "made_choices.py"
    spec = importlib.util.spec_from_file_location("made_choices", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path_factory.mktemp("made") / "made-choices.csv"
    module.write_choices(path, module.made_choices())
    return path


def documented(shown: str) -> bool:
    """Whether docs/choices.md has these lines, indented."""
    lines = (f"    {line}".rstrip() for line in shown.rstrip("\n").splitlines())
    return "\n".join(lines) in (ROOT / "docs/choices.md").read_text(encoding="utf-8")


def test_what_the_documentation_shows_of_the_made_study_is_what_comes_out(made, tmp_path, capsys):
    assert run(["ratings", "summary", str(made)]) == 0
    assert documented(capsys.readouterr().out)
    kept, gone = tmp_path / "kept.csv", tmp_path / "excluded.csv"
    rules = [word for rule in ("one-side", "fast", "attention") for word in ("--screen", rule)]
    command = ["ratings", "screen", str(made), *rules, "-o", str(kept), "--exclusions", str(gone)]
    assert run(command) == 0
    assert documented(capsys.readouterr().out)
    details = {row.cells["listener_id"]: row.cells["detail"] for row in read_table(gone).rows}
    text = " ".join((ROOT / "docs/choices.md").read_text(encoding="utf-8").split())
    assert details.keys() == {"L21", "L22", "L23"}
    assert all(detail in text for detail in details.values())
    assert len(read_choices(kept)) + len(read_table(gone).rows) == len(read_choices(made))
    assert run(["ratings", "summary", str(kept)]) == 0
    assert documented(capsys.readouterr().out)


def test_what_the_documentation_shows_of_fense_is_what_comes_out(shared, capsys):
    path = shared / "data/fense/pairs.csv"
    assert run(["ratings", "summary", str(path)]) == 0
    assert documented(capsys.readouterr().out)
    assert run(["ratings", "summary", str(path), "--without-kind", "HI", "--json"]) == 0
    shown = capsys.readouterr()
    every = json.loads(shown.out)[0]["one_judge"]
    assert (every["n"], round(every["value"], 3)) == (575, 0.864)
    assert "38 questions of kind HI left out" in shown.err


def test_summary_leaves_checks_out_and_writes_a_row_a_listener(table, tmp_path, capsys):
    listeners = tmp_path / "listeners.csv"
    assert run(["ratings", "summary", str(table), "--json", "--listeners", str(listeners)]) == 0
    shown = capsys.readouterr()
    groups = {(g["split"], g["kind"]): g for g in json.loads(shown.out)}
    assert set(groups) == {("all", "all"), *(("all", k) for k in ("HC", "HM"))} | {
        ("train", "HC"),
        ("test", "HM"),
    }
    every = groups["all", "all"]
    assert (every["n_questions"], every["n_votes"], every["n_listeners"]) == (2, 5, 3)
    assert (every["repeats"]["n"], every["repeats"]["value"]) == (1, 1.0)
    assert "2 attention checks left out" in shown.err
    rows = {row.cells["listener_id"]: row.cells for row in read_table(listeners).rows}
    assert (rows["bob"]["n_checks_failed"], rows["ann"]["n_repeats"]) == ("1", "1")


def test_limits_of_screening_are_set_on_the_command_line(made, tmp_path, capsys):
    kept = tmp_path / "kept.csv"
    command = ["ratings", "screen", str(made), "-o", str(kept), "--json", "--screen"]
    assert run([*command, "fast=0.3"]) == 0
    assert [one["outcome"] for one in json.loads(capsys.readouterr().out)] == ["kept"]
    assert run([*command, "one-side=0"]) == 0
    assert [one["outcome"] for one in json.loads(capsys.readouterr().out)] == ["kept"]
    for rule, said in (
        ("fast=x", "not a number"),
        ("spo=5", "not a rule for choices"),
        ("slow", "one of"),
    ):
        assert run([*command, rule]) == 2
        assert said in capsys.readouterr().err


def test_what_choices_lack_is_said_with_their_forms(tmp_path, capsys):
    path = tmp_path / "c.csv"
    path.write_text("text,audio_a,audio_b,choice\np,1.wav,2.wav,first\n", encoding="utf-8")
    assert run(["ratings", "summary", str(path)]) == EXIT_BAD_INPUT
    assert (
        "two clips of a text: text, audio_a, audio_b, choice, listener" in capsys.readouterr().err
    )


@pytest.mark.parametrize("command", [["summary"], ["aggregate", "-o", "votes.csv"]])
def test_systems_that_changed_sides_are_refused_with_the_file(
    tmp_path, capsys, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    head = "text,audio_a,audio_b,choice,listener_id,system_a,system_b"
    rows = "p,1.wav,2.wav,first,x,A,B\np,2.wav,1.wav,first,y,A,B"
    Path("c.csv").write_text(f"{head}\n{rows}\n", encoding="utf-8")
    assert run(["ratings", *command, "c.csv"]) == EXIT_BAD_INPUT
    assert "c.csv:3: system_a 'B' for a question that has 'A' on line 2" in capsys.readouterr().err


def test_reasons_stand_below_the_table(tmp_path, capsys):
    path = tmp_path / "c.csv"
    path.write_text("audio,text_a,text_b,choice,listener_id\n1,a,b,equal,x\n", encoding="utf-8")
    assert run(["ratings", "summary", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4:] == [
        "one judge undefined (– –): no vote for a side has others that lean to one side",
        "alpha undefined (– –): no question has two votes",
        "first shown undefined (– –): no answer says which side was shown first",
        "same undefined (– –): no repeats",
    ]


def test_aggregate_counts_each_listener_once_and_leaves_checks_out(table, tmp_path, capsys):
    output = tmp_path / "votes.csv"
    command = ["ratings", "aggregate", str(table), "-o", str(output)]
    assert run([*command, "--json"]) == 0
    shown = capsys.readouterr()
    votes = read_votes(output)
    assert [(v.n_first, v.n_second, v.n_equal, v.kind, v.split) for v in votes] == [
        (2, 0, 1, "HC", "train"),
        (1, 1, 0, "HM", "test"),
    ]
    first = read_table(output).rows[0].cells
    assert float(first["share_low"]) < float(first["share"]) < float(first["share_high"])
    assert json.loads(shown.out)[0] == {
        "split": "test",
        "kind": "HM",
        "rows": 1,
        "questions": 1,
        "clips": 1,
        "captions": 2,
    }
    assert "2 attention checks left out" in shown.err
    assert "1 repeats have no second vote" in shown.err
    assert run([*command, "--include-anchors", "--screen", "attention", "--quiet"]) == 0
    kept = read_votes(output, include_anchors=True)
    assert [(v.kind, v.n) for v in kept] == [("HC", 2), ("HM", 1), ("anchor", 1)]
    assert run([*command, "--split", "train", "--without-kind", "HC", "--quiet"]) == EXIT_BAD_INPUT


def test_votes_are_aggregated_as_they_are_and_have_no_listeners(table, tmp_path, capsys):
    votes, again = tmp_path / "votes.csv", tmp_path / "again.csv"
    assert run(["ratings", "aggregate", str(table), "-o", str(votes)]) == 0
    assert run(["ratings", "aggregate", str(votes), "-o", str(again)]) == 0
    assert again.read_bytes() == votes.read_bytes()
    capsys.readouterr()
    for command in (
        ["screen", "--screen", "attention", "-o", str(tmp_path / "kept.csv")],
        ["summary", "--screen", "one-side"],
        ["summary", "--listeners", str(tmp_path / "listeners.csv")],
    ):
        assert run(["ratings", command[0], str(votes), *command[1:]]) == EXIT_BAD_INPUT
        assert "holds votes" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "again.csv",
        "choices.csv",
        "votes.csv",
    ]


@pytest.mark.parametrize("of_votes", [False, True])
def test_split_gives_both_sides_one_split(table, tmp_path, capsys, of_votes):
    output, votes = tmp_path / "split.csv", tmp_path / "votes.csv"
    assert run(["ratings", "aggregate", str(table), "--include-anchors", "-o", str(votes)]) == 0
    capsys.readouterr()
    given = str(votes if of_votes else table)
    command = ["ratings", "split", given, "--fractions", "train=0.5,test=0.5", "-o", str(output)]
    assert run([*command, "--json"]) == 0
    shown = capsys.readouterr()
    assert {row["split"] for row in json.loads(shown.out)} == {"train", "test"}
    assert "questions, not 50%" in shown.err
    read = read_votes(output, include_anchors=True) if of_votes else read_choices(output)
    splits = {}
    for one in read:
        splits.setdefault(one.audio_a, set()).add(one.split)
    assert all(len(found) == 1 for found in splits.values())
    assert len(read) == (3 if of_votes else 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["summary", "--question", "REL"], "--question is for ratings"),
        (["summary", "--scale", "0..10"], "--scale is for ratings"),
        (["aggregate", "--standardise", "-o", "out.csv"], "--standardise is for ratings"),
        (["screen", "--screen", "relate", "-o", "out.csv"], "'relate' is not a rule for choices"),
        (["summary", "--split", "dev"], "no choice has split dev; there are: test, train"),
        (["summary", "--without-kind", "HI"], "no choice has kind HI; there are: HC, HM, anchor"),
        (["screen", "--screen", "fast", "-o", "out.csv"], "column duration_s"),
    ],
)
def test_options_that_choices_have_not_are_refused(
    table, tmp_path, capsys, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    assert run(["ratings", options[0], str(table), *options[1:]]) == EXIT_BAD_INPUT
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_unlike_tables_are_refused_together(table, tmp_path, capsys):
    ratings, votes = tmp_path / "ratings.csv", tmp_path / "votes.csv"
    ratings.write_text("audio,text,score,listener_id\na,x,1,1\n", encoding="utf-8")
    assert run(["ratings", "summary", str(table), str(ratings)]) == EXIT_BAD_INPUT
    assert "ratings.csv does not; give them in two commands" in capsys.readouterr().err
    assert run(["ratings", "summary", str(ratings), "--listeners", "l.csv"]) == EXIT_BAD_INPUT
    assert "--listeners is for choices" in capsys.readouterr().err
    assert run(["ratings", "aggregate", str(table), "-o", str(votes), "--quiet"]) == 0
    assert run(["ratings", "summary", str(table), str(votes)]) == EXIT_BAD_INPUT
    assert "names the listeners and" in capsys.readouterr().err


def test_a_table_that_is_read_is_not_written_over(table, capsys):
    before = table.read_bytes()
    assert run(["ratings", "summary", str(table), "--listeners", str(table)]) == EXIT_BAD_INPUT
    assert "would be overwritten" in capsys.readouterr().err
    assert table.read_bytes() == before
