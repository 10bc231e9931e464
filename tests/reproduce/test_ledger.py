import json

import pytest
from filelock import FileLock

from humanclap.errors import SettingsError
from humanclap.progress import silent
from humanclap.reproduce.stages import LOCK, StageLog, check_folder
from humanclap.training.loop.state import RunFolder

REQUEST = {"seeds": [0], "scale": "0..10"}


def test_two_processes_do_not_work_in_one_folder(tmp_path):
    with StageLog(tmp_path, REQUEST, resume=False):
        pass
    with (
        FileLock(tmp_path / LOCK),
        pytest.raises(SettingsError, match="another process works in it"),
    ):
        StageLog(tmp_path, REQUEST, resume=True)
    with StageLog(tmp_path, REQUEST, resume=True):
        pass


def test_a_folder_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(SettingsError, match="holds no reproduction"):
            check_folder(tmp_path, REQUEST, resume=resume)
    with pytest.raises(SettingsError, match="is a file"):
        check_folder(tmp_path / "thesis.txt", REQUEST, resume=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_killed_as_it_wrote_its_first_file_it_begins_again(tmp_path):
    (tmp_path / ".reproduction.json.x1y2").write_text("{")
    (tmp_path / LOCK).touch()
    with StageLog(tmp_path, REQUEST, resume=True):
        assert json.loads((tmp_path / "reproduction.json").read_text())["request"] == REQUEST


def test_a_run_killed_as_it_claimed_its_folder_begins_again(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".run.json.x1y2").write_text("{")
    assert RunFolder(tmp_path / "run", {"seed": 0}).open(resume=True, overwrite=False) is None
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(SettingsError, match="no training run"):
        RunFolder(tmp_path / "other", {"seed": 0}).open(resume=True, overwrite=False)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"request": {}, "stages": {"x": 3}}', "\0"])
def test_a_damaged_ledger_names_its_remedy_and_the_remedy_works(tmp_path, content):
    (tmp_path / "runs").mkdir()
    ledger = tmp_path / "reproduction.json"
    ledger.write_text(content)
    with pytest.raises(SettingsError, match=r"reproduction.json: damaged .* delete it and give"):
        StageLog(tmp_path, REQUEST, resume=True)
    ledger.unlink()
    with StageLog(tmp_path, REQUEST, resume=True) as found, found.stage("train", silent):
        pass
    assert [stage.name for stage in found.stages()] == ["train"]
