from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint, save_checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.cli.main import run
from humanclap.tables import read_scores, read_table


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    calibration = Calibration(
        scores=(0.0, 1.0), ratings=(5.0, 9.0), errors=(1.25, 1.25), fitted_on="nothing", n=2
    )
    save_checkpoint(Checkpoint(MiniCLAP(MiniConfig.tiny()), calibration), folder)
    return str(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(1)
    for name in ("dog.wav", "rain.flac"):
        soundfile.write(tmp_path / name, 0.1 * generator.standard_normal(16000), 16000)
    return tmp_path


def test_one_pair_prints_score_and_predicted_rating(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["score", str(folder / "dog.wav"), "a dog barks", "-m", model]) == 0
    shown = capsys.readouterr()
    score, words = shown.out.split("  ", 1)
    assert words == f"(predicted rating {4 * float(score) + 5:.1f} ± 1.2 of 10)\n"
    assert "humanclap:0.1.0|model:" in shown.err


def test_one_pair_as_json(folder: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["score", str(folder / "dog.wav"), "a dog barks", "-m", model, "--json", "-q"]
    assert run(arguments) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert set(found) >= {"audio", "text", "score", "rating", "signature", "error"}
    assert found["rating_error"] == 1.25
    assert shown.err == ""


def test_table_with_a_bad_file_gives_an_error_row_and_exit_code_1(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = folder / "pairs.csv"
    manifest.write_text('audio,text\nrain.flac,"rain, falling"\ngone.wav,boo\ndog.wav,a dog\n')
    output = folder / "scores.csv"
    assert run(["score", str(manifest), "-m", model, "-o", str(output)]) == 1
    scores = read_scores(output)
    assert [score.audio for score in scores] == ["rain.flac", "gone.wav", "dog.wav"]
    assert [score.error is None for score in scores] == [True, False, True]
    assert "1 of 3 pairs could not be scored" in capsys.readouterr().err


def test_folder_with_texts_prints_csv(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = folder / "texts.tsv"
    texts.write_text("name\ttext\nrain\train falls\ndog\ta dog barks\n")
    assert run(["score", str(folder), "--texts", str(texts), "-m", model]) == 0
    header, first, second = capsys.readouterr().out.strip().split("\n")
    assert header.startswith("audio,text,score,rating,rating_error,")
    assert first.startswith("rain.flac,rain falls,")
    assert second.startswith("dog.wav,a dog barks,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "."], "a folder needs its texts"),
        (["score", "dog.wav"], "give the clip's text too"),
        (["score", "nowhere.csv"], "no such file"),
        (
            ["score", "dog.wav", "a dog", "-m", "mimi"],
            "no such model (did you mean 'mini'?); expected 'mini'",
        ),
        (["score", "dog.wav", "a dog", "--hop", "-1"], "hop_s is -1.0"),
        (["score", "dog.wav", " "], "text is empty"),
        (["score", "dog.wav", "a dog", "--batch-windows", "0"], "Invalid value"),
        (["score", "dog.wav", "a dog", "--threads", "0"], "Invalid value"),
    ],
)
def test_refuses_with_a_remedy(
    arguments: list[str],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert run(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_file_name_that_is_not_utf8_is_refused_in_a_sentence(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    assert run(["score", name, "a dog barks", "-m", model]) == 2
    assert r"error: audio 'caf\udce9.wav' is not UTF-8" in capsys.readouterr().err


def test_a_clip_of_a_format_that_is_not_decoded_is_an_error_row_with_the_conversion(
    folder: Path, model: str
) -> None:
    (folder / "speech.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + b"\0" * 200)
    (folder / "texts.csv").write_text("name,text\ndog,a dog\nspeech,a voice\nrain,rain\n")
    output = folder / "out" / "scores.csv"
    arguments = ["--texts", str(folder / "texts.csv"), "-m", model, "-q", "-o", str(output)]
    assert run(["score", str(folder), *arguments]) == 1
    errors = [score.error for score in read_scores(output)]
    assert errors[0] is errors[2] is None
    assert errors[1] is not None
    assert "ffmpeg -i speech.m4a speech.wav" in errors[1]


def test_a_clip_stored_in_the_other_unicode_form_of_its_name_is_scored(
    folder: Path, model: str
) -> None:
    (folder / "dog.wav").rename(folder / "cafe\u0301.wav")
    (folder / "pairs.csv").write_text("audio,text\ncaf\u00e9.wav,a dog\n", encoding="utf-8")
    output = folder / "scores.csv"
    assert run(["score", str(folder / "pairs.csv"), "-m", model, "-q", "-o", str(output)]) == 0
    (score,) = read_scores(output)
    assert score.audio == "caf\u00e9.wav"  # as the table writes it


def written(folder: Path, content: str, name: str = "pairs.csv") -> Path:
    (folder / name).write_text(content)
    return folder / name


@pytest.mark.parametrize("name", ["pairs.csv", "link.csv", "./pairs.csv"])
def test_a_table_is_never_written_over_the_one_it_is_made_of(
    folder: Path,
    model: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = "audio,text,prompt_id\ndog.wav,a dog,p1\n"
    written(folder, content)
    (folder / "link.csv").symlink_to(folder / "pairs.csv")
    monkeypatch.chdir(folder)
    assert run(["score", "pairs.csv", "-m", model, "-o", name]) == 2
    assert "would be overwritten, but this command reads it" in capsys.readouterr().err
    assert (folder / "pairs.csv").read_text() == content


def test_a_clip_is_never_written_over(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = str(folder / "dog.wav")
    assert run(["score", clip, "a dog", "-m", model, "-o", clip]) == 2
    assert "would be overwritten" in capsys.readouterr().err


def test_further_columns_come_along_and_renamed_ones_are_told(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = written(folder, "audio,text,prompt_id,score\ndog.wav,a dog,p1,7\n")
    assert run(["score", str(manifest), "-m", model]) == 0
    shown = capsys.readouterr()
    header, row = shown.out.strip().split("\n")
    assert header.endswith(",prompt_id,score_before")
    assert row.endswith(",p1,7")
    assert "columns of the table that have new values are kept: score as score_before" in shown.err
    assert run(["score", str(manifest), "-m", model, "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["prompt_id"] == "p1"


def test_notes_are_listed_and_counted_and_unreadable_texts_are_errors(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(folder / "mute.wav", np.zeros(16000), 16000)
    long = "rain falls " * 60
    rows = f"mute.wav,rain\ndog.wav,{long}\ndog.wav,犬が吠えている\ndog.wav,a dog\n"
    manifest, output = written(folder, "audio,text\n" + rows), folder / "scores.csv"
    assert run(["score", str(manifest), "-m", model, "-o", str(output)]) == 1
    shown = capsys.readouterr().err
    assert "warning: mute.wav | rain: silent from start to end" in shown
    assert "word pieces are not read" in shown
    assert "warning: 2 of 4 pairs have a note" in shown
    assert "1 of 4 pairs could not be scored" in shown
    assert ".py" not in shown  # no source lines
    scores = read_scores(output)
    assert [bool(item.note) for item in scores] == [True, True, False, False]
    assert [item.text_unread for item in scores] == [0.0, 0.0, 1.0, 0.0]
    assert [bool(item.error) for item in scores] == [False, False, True, False]


def test_a_table_comes_from_standard_input_and_goes_to_standard_output(
    folder: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"audio,text\ndog.wav,a dog\n")))
    assert run(["score", "-", "-m", model, "-o", "-"]) == 0
    header, row = capsys.readouterr().out.strip().split("\n")
    assert header.startswith("audio,text,score")
    assert row.startswith("dog.wav,a dog,")
    assert not Path("-").exists()


@pytest.mark.parametrize("name", ["s.json", "s.jsonl", "s.csv.gz"])
def test_the_table_has_the_format_of_its_name(folder: Path, model: str, name: str) -> None:
    manifest = written(folder, "audio,text\ndog.wav,a dog\n")
    assert run(["score", str(manifest), "-m", model, "-q", "-o", str(folder / name)]) == 0
    assert [item.audio for item in read_scores(folder / name)] == ["dog.wav"]
    if name == "s.json":
        assert isinstance(json.loads((folder / name).read_text())[0]["score"], float)


def test_one_pair_into_a_file_named_as_a_table_is_a_table(folder: Path, model: str) -> None:
    arguments = ["score", str(folder / "dog.wav"), "a dog", "-m", model, "-q"]
    assert run([*arguments, "-o", str(folder / "s.csv")]) == 0
    assert [item.text for item in read_scores(folder / "s.csv")] == ["a dog"]


def test_a_name_of_no_table_is_refused_before_the_model_is_loaded(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = written(folder, "audio,text\ndog.wav,a dog\n")
    assert run(["score", str(manifest), "-m", "no model", "-o", str(folder / "s.xlsx")]) == 2
    assert "a table cannot be written as .xlsx" in capsys.readouterr().err


SYSTEMS = "audio,text,system\ndog.wav,a dog,a_1\nrain.flac,rain,a_1\ngone.wav,boo,b\n"


def test_after_a_table_one_line_a_system_on_stderr(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = written(folder, SYSTEMS)
    assert run(["score", str(manifest), "-m", model]) == 1
    shown = capsys.readouterr()
    assert len(shown.out.strip().split("\n")) == 4  # the table alone
    lines = shown.err.split("\n")
    (first,) = [line for line in lines if line.startswith("a_1  n = 2 clips of 2 prompts  score ")]
    assert "predicted rating" in first
    assert "± 1.25 of 10" in first  # an error whose shared part is unknown does not shrink
    (second,) = [line for line in lines if line.startswith("b    n = 0 clips of 0 prompts")]
    assert second.endswith("1 failed  (no clip scored)")
    assert "95 % expanded percentile interval, bootstrap over prompts" in shown.err
    assert run(["score", str(manifest), "-m", model, "-q"]) == 1
    assert "n = 2 clips" not in capsys.readouterr().err


def test_without_a_column_system_it_is_one_line_and_none_for_a_pair(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = written(folder, "audio,text\ndog.wav,a dog\nrain.flac,rain\n")
    assert run(["score", str(manifest), "-m", model]) == 0
    assert "\nn = 2 clips of 2 prompts  score " in "\n" + capsys.readouterr().err
    assert run(["score", str(folder / "dog.wav"), "a dog", "-m", model]) == 0
    assert "n = 1" not in capsys.readouterr().err


def test_the_systems_as_a_table_for_a_paper(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, scores = written(folder, SYSTEMS), folder / "scores.csv"
    given = ["score", str(manifest), "-m", model]
    assert run([*given, "--latex", "-o", str(scores), "-q"]) == 1
    latex = capsys.readouterr().out
    assert len(read_scores(scores)) == 3  # the pairs are written too
    assert r"a\_1 & 2 & 2 & " in latex
    assert r"humanclap:0.1.0\textbar{}" in latex
    assert run([*given, "-o", str(folder / "t.tex")]) == 1
    assert (folder / "t.tex").read_text() == latex
    assert "not kept; -o scores.csv --latex keeps them" in capsys.readouterr().err
    assert run([*given, "--markdown"]) == 1
    said = capsys.readouterr()
    assert "| a_1 | 2 | 2 | " in said.out
    assert "not kept; -o scores.csv --markdown keeps them" in said.err
    assert run([*given, "--markdown", "-o", str(folder / "kept.csv")]) == 1
    assert "not kept" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pairs.csv", "--latex", "--json"], "are two formats"),
        (["pairs.csv", "--latex", "--markdown"], "are two formats"),
        (["dog.wav", "a dog", "--latex"], "are for a table of pairs"),
        (["pairs.csv", "-o", "pairs.csv/x.tex"], "pairs.csv"),
    ],
)
def test_tables_that_cannot_be_are_refused(
    folder: Path,
    model: str,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    written(folder, "audio,text\ndog.wav,a dog\n")
    monkeypatch.chdir(folder)
    assert run(["score", *arguments, "-m", model]) == 2
    assert message in capsys.readouterr().err


def test_figures_of_the_systems(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="humanclap[figures] is not installed")
    manifest = written(folder, SYSTEMS)
    given = ["score", str(manifest), "-m", model, "-o", str(folder / "s.csv")]
    assert run([*given, "--figures", str(folder / "f")]) == 1
    assert "wrote" in capsys.readouterr().err
    names = sorted(path.name for path in (folder / "f").iterdir())
    assert names == ["scores.pdf", "scores.svg", "systems.pdf", "systems.svg"]


def test_a_folder_keeps_every_column_of_its_texts(folder: Path, model: str) -> None:
    texts = written(folder, "name,seed,text,pair_id\nrain,7,rain,x1\ndog,8,a dog,x2\n", "t.csv")
    output = folder / "out" / "scores.csv"
    given = ["--texts", str(texts), "-m", model, "-q", "-o", str(output)]
    assert run(["score", str(folder), *given]) == 0
    rows = read_table(output).rows
    kept = [tuple(row.cells[name] for name in ("name", "seed", "pair_id")) for row in rows]
    assert kept == [("rain", "7", "x1"), ("dog", "8", "x2")]
