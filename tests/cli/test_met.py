"""End to end: a model trained on some pairs, asked about them and about others."""

from __future__ import annotations

import csv
import json

import pytest
import soundfile
import torch

from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.known_pairs import IDENTITIES_FILE, identities_of
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.cli.main import run
from humanclap.signature import Signature
from humanclap.tables import read_scores

RATE = 32_000
MP3 = {"samplerate": 22_050, "format": "MP3", "compression_level": 0.6}  # 64 kbit/s
SPLITS = ("train",) * 12 + ("validation",) * 6


def write_targets(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "target", "mos", "n", "split"])
        writer.writerows(rows)


@pytest.fixture(scope="module")
def study(tmp_path_factory, sound):
    """A tiny model of known origin, tuned on 18 pairs; and 14 pairs to judge it by.

    Judged: four training pairs and two validation pairs as MP3 under other captions, the caption
    of one training pair with a new clip, and seven of which nothing was met.
    """
    folder = tmp_path_factory.mktemp("met")
    base = identities_of([(None, "the base knows this caption", "trained")])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_checkpoint(Checkpoint(MiniCLAP(MiniConfig.tiny()), identities=base), folder / "base")
    rows = []
    for number, split in enumerate(SPLITS):
        soundfile.write(folder / f"{number}.wav", sound(number, 1.5), RATE)
        target = round(0.1 + 0.8 * (number * 7 % 18) / 18, 2)
        rows.append([f"{number}.wav", f"sound number {number}", target, 10 * target, 3, split])
    write_targets(folder / "targets.csv", rows)
    code = run(["train", str(folder / "targets.csv"), "-o", str(folder / "run"),
                "-m", str(folder / "base"), "--epochs", "1", "-q"])  # fmt: skip
    assert code == 0
    judged = []
    for place, number in enumerate((0, 1, 2, 3, 12, 13)):
        soundfile.write(folder / f"copy{number}.mp3", sound(number, 1.5, 22_050), **MP3)
        judged.append([f"copy{number}.mp3", f"another caption {place}"])
    for number in range(8):
        soundfile.write(folder / f"new{number}.wav", sound(300 + number, 1.5), RATE)
        text = "Sound  number 5" if number == 7 else f"unheard of {number}"
        judged.append([f"new{number}.wav", text])
    targets = [[*pair, (place % 7) / 10, place % 7, 3, "test"] for place, pair in enumerate(judged)]
    write_targets(folder / "judged.csv", targets)
    scored = run(["score", str(folder / "judged.csv"), "-m", str(folder / "run"), "-q",
                  "-o", str(folder / "scores.csv")])  # fmt: skip
    assert scored == 0
    return folder


def test_score_says_of_each_pair_what_was_met_and_as_what(study):
    met = {row.audio: row.met for row in read_scores(study / "scores.csv")}
    assert [met[f"copy{number}.mp3"] for number in (0, 1, 2, 3)] == ["clip:tuned"] * 4
    assert [met[f"copy{number}.mp3"] for number in (12, 13)] == ["clip:calibrated"] * 2
    assert [met[f"new{number}.wav"] for number in range(7)] == ["nothing"] * 7
    assert met["new7.wav"] == "caption:tuned"


def test_a_tuned_model_inherits_what_its_base_met(study):
    known = load_checkpoint(study / "run").known_identities()
    assert known.complete
    assert len(known.captions) == 19
    (said,) = known.met(["The base KNOWS this caption"], known.clips[0][0].codes[:0])
    assert said == "caption:trained"


def test_scores_are_the_same_whether_or_not_it_is_known_what_was_met(study, tmp_path, capsys):
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in (study / "run" / "checkpoint").iterdir():
        if file.name != IDENTITIES_FILE:
            (bare / file.name).write_bytes(file.read_bytes())
    arguments = ["score", str(study / "judged.csv"), "-m", str(bare), "-o", str(tmp_path / "s.csv")]
    assert run(arguments) == 0
    assert "what the model met in training is unknown for 14 of 14 pairs" in capsys.readouterr().err
    unknown, known = read_scores(tmp_path / "s.csv"), read_scores(study / "scores.csv")
    assert [row.score for row in unknown] == [row.score for row in known]
    assert {row.met for row in unknown} == {"unknown"}
    assert unknown[0].signature == known[0].signature


def test_one_pair_is_warned_of_on_the_terminal(study, capsys):
    pair = [str(study / "copy2.mp3"), "a caption", "-m", str(study / "run"), "-q"]
    assert run(["score", *pair]) == 0
    shown = capsys.readouterr()
    assert "warning: met in training: " in shown.err
    assert "copy2.mp3 | a caption: clip:tuned" in shown.err
    assert "met" not in shown.out
    assert run(["score", *pair, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["met"] == "clip:tuned"


def evaluate(study, *arguments):
    return run(["evaluate", str(study / "scores.csv"), "--targets", str(study / "judged.csv"),
                "--replicates", "50", *arguments])  # fmt: skip


WARNING = (
    "The model of scores met 7 of 14 judged pairs (4 by clip, tuned; 2 by clip, calibrated; "
    "1 by caption, tuned) before. Without them, its SRCC is "
)


def test_evaluate_warns_on_top_and_gives_the_figure_without_the_met_pairs(study, capsys):
    reports = ["--html", str(study / "r.html"), "--markdown", str(study / "r.md")]
    assert evaluate(study, *reports) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"warning: {WARNING}")
    assert " over 7 pairs, with them " in out.splitlines()[0]
    (unmet,) = [line for line in out.splitlines() if line.startswith("unmet pairs")]
    assert unmet.split()[2:4] == ["7", "7"]
    assert "Met in training: 7 of 14 judged pairs" in out
    signature = next(row.signature for row in read_scores(study / "scores.csv"))
    by_model = WARNING.replace("of scores", f"of {Signature.parse(signature).model}")
    assert f"> **Warning:** {by_model}" in (study / "r.md").read_text(encoding="utf-8")
    page = (study / "r.html").read_text("utf-8")
    assert page.index('<a href="#warnings">') < page.index("<figure>") < page.index(by_model)


def test_json_has_warning_counts_and_the_unmet_group(study, capsys):
    assert evaluate(study, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["warnings"][0].startswith(WARNING)
    (evaluation,) = found["evaluations"]
    assert evaluation["met"] == {
        "total": 14,
        "met": 7,
        "by": {"clip, tuned": 4, "clip, calibrated": 2, "caption, tuned": 1},
        "unknown": 0,
        "unsaid": 0,
    }
    groups = {group["level"]: group for group in evaluation["groups"]}
    assert groups["unmet pairs"]["n"] == 7
    assert groups["unmet pairs"]["statistics"]["srcc"]["low"] is not None


def test_refuse_trained_on_ends_with_code_2_and_names_pairs(study, capsys):
    assert evaluate(study, "--refuse-trained-on") == 2
    err = capsys.readouterr().err
    assert "scores: its model met 7 of 14 pairs before: " in err
    assert err.count(".mp3 | another caption") + err.count("new7.wav | Sound") == 3
    assert "; and 4 more (leave them out" in err


def strip_met(study, name, keep):
    with open(study / "scores.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if keep(row)]
    with open(study / name, "w", newline="") as file:
        columns = [column for column in rows[0] if column != "met" or name != "old.csv"]
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return str(study / name)


def test_an_old_table_is_judged_as_before_and_no_proof_where_met_pairs_are_refused(study, capsys):
    old = strip_met(study, "old.csv", lambda row: True)
    arguments = ["evaluate", old, "--targets", str(study / "judged.csv"), "--replicates", "50"]
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert "met" not in shown.lower().replace("metric", "")
    assert run([*arguments, "--refuse-trained-on"]) == 0
    assert "It is not shown that the model of old met none of the judged pairs: for 14 of 14" in (
        capsys.readouterr().out
    )


def test_pairs_of_which_nothing_was_met_pass_the_refusal(study, capsys):
    clean = strip_met(study, "clean.csv", lambda row: row["met"] == "nothing")
    arguments = ["evaluate", clean, "--targets", str(study / "judged.csv"), "--allow-missing",
                 "--replicates", "50", "--refuse-trained-on"]  # fmt: skip
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert "Met in training: none of 7 judged pairs" in out
    assert "unmet pairs" not in out


def test_training_warns_of_validation_pairs_the_base_met_or_refuses_them(study, tmp_path, capsys):
    rows = [[f"new{n}.wav", f"fresh {n}", n / 8, 10 * n / 8, 3, "train"] for n in range(5)]
    rows += [["copy0.mp3", "fresh 10", 0.2, 2, 3, "validation"],
             ["new5.wav", "sound NUMBER 4", 0.4, 4, 3, "validation"],
             ["new6.wav", "fresh 12", 0.9, 9, 3, "validation"]]  # fmt: skip
    write_targets(study / "more.csv", rows)
    arguments = ["train", str(study / "more.csv"), "-o", str(tmp_path / "run"), "--epochs", "1",
                 "-m", str(study / "run"), "-q"]  # fmt: skip
    assert run([*arguments, "--refuse-trained-on"]) == 2
    shown = capsys.readouterr().err
    assert "the base model met 2 of the 3 validation pairs before: " in shown
    assert "copy0.mp3 | fresh 10: clip:tuned; new5.wav | sound NUMBER 4: caption:tuned" in shown
    assert not (tmp_path / "run").exists()
    assert run([*arguments, "--json"]) == 0
    shown = capsys.readouterr()
    assert "warning: the base model met 2 of the 3 validation pairs before" in shown.err
    assert json.loads(shown.out)["validation_met_before"] == 2
    card = (tmp_path / "run" / "checkpoint" / "README.md").read_text()
    assert "**The base model had met 2 of the 3 validation pairs before**" in card


def test_a_damaged_record_stops_scoring_with_file_and_remedy(study, tmp_path, capsys):
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (study / "run" / "checkpoint").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / IDENTITIES_FILE).write_bytes(b"\x00" * 40)
    assert run(["score", str(study / "new0.wav"), "a text", "-m", str(folder)]) == 2
    err = capsys.readouterr().err
    assert f"model/{IDENTITIES_FILE}: cannot be read as the record of what the model" in err
    assert "copy the checkpoint again, or delete this file" in err


def test_compare_warns_ranks_without_met_prompts_and_refuses(study, capsys):
    rows = read_scores(study / "scores.csv")
    for name, shift in (("one", 0), ("two", 1)):
        with open(study / f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["audio", "text", "score", "met"])
            for place, row in enumerate(rows):
                met = row.met if name == "one" else "nothing"
                writer.writerow([row.audio, row.text, (place * 5 + shift) % 7 / 10, met])
    tables = [str(study / "one.csv"), str(study / "two.csv")]
    arguments = ["compare", *tables, "--replicates", "100", "--permutations", "99"]
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert "warning: The metric's model met 7 of 28 judged pairs (4 by clip, tuned; " in out
    assert "over the 7 prompts of which it met nothing, " in out
    assert "Without met pairs (7 prompts)" in out
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["warnings"][0].startswith("The metric's model met 7 of 28")
    assert [standing["clips"] for standing in found["unmet"]] == [7, 7]
    assert run([*arguments, "--refuse-trained-on"]) == 2
    assert "one: its model met 7 of 14 pairs before" in capsys.readouterr().err
