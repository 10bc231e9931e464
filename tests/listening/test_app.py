"""A server in this process, as a rehearsal starts one."""

from __future__ import annotations

import logging
from pathlib import Path

from humanclap.listening.study.study import create_study, open_study
from humanclap.listening.web.app import serving
from humanclap.listening.web.settings import ServeSettings

from .test_comparisons import CLIPS, of_clips


class Closing(logging.Handler):
    """Knows whether somebody closed it."""

    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()


def test_a_server_leaves_the_log_handlers_of_its_process_open(tmp_path: Path, clips) -> None:
    handler = Closing()
    where = str(tmp_path / "study.sqlite")
    create_study(where, design_text=CLIPS, pairs=of_clips(clips[1]), audio_root=clips[0])
    study = open_study(where)
    settings = ServeSettings(admin_token="an-admin-token-of-the-tests", port=0)
    with serving(study, settings, cache=tmp_path / "cache"):
        assert not handler.closed
    study.close()
