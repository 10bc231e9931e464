import math

import pytest

from humanclap.errors import InputError, TableError
from humanclap.records import Score
from humanclap.xacle import read_list, read_submission, write_submission


def test_a_list_names_each_file_once(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("wav_file_name,text,extra\na.wav,rain,1\nb.wav,dog,2\n")
    assert [(p.audio, p.text) for p in read_list(path)] == [("a.wav", "rain"), ("b.wav", "dog")]
    path.write_text("wav_file_name,text\na.wav,rain\na.wav,dog\n")
    with pytest.raises(TableError, match=r"list\.csv:3: file 'a\.wav' is already on line 2"):
        read_list(path)


def test_a_submission_has_the_rating_or_ten_times_the_cosine(tmp_path):
    path = tmp_path / "sub.csv"
    plain = [Score(audio=f"{i}.wav", text="x", score=v) for i, v in enumerate((0.25, -0.1))]
    write_submission(path, plain)
    assert path.read_text().splitlines() == ["wav_file_name,pred_score", "0.wav,2.5", "1.wav,0.0"]
    rated = [Score(audio=f"{i}.wav", text="x", score=0.1, rating=7.5) for i in range(2)]
    write_submission(path, rated)
    assert path.read_text().splitlines()[1] == "0.wav,7.5"
    with pytest.raises(InputError, match="1 of 2 scores have a rating"):
        write_submission(path, [plain[0], rated[1]])


def test_a_submission_with_a_failed_clip_is_not_written(tmp_path):
    failed = [Score(audio="a.wav", text="x", score=math.nan, error="no such file")]
    with pytest.raises(InputError, match=r"a\.wav \(no such file\)"):
        write_submission(tmp_path / "sub.csv", failed)
    assert not (tmp_path / "sub.csv").exists()


def test_a_submission_that_was_written_is_read_back(tmp_path):
    path = tmp_path / "sub.csv"
    write_submission(path, [Score(audio="é.wav", text="x", score=0.1, rating=10.0)])
    assert read_submission(path) == {"é.wav": 10.0}
