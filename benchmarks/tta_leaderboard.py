"""A leaderboard of text-to-audio systems on the prompts their demo pages share.

    python benchmarks/tta_leaderboard.py SHARED/data/tta-demos --mn04 MN04 --html leaderboard.html

Two pages with several systems on the same prompts: EzAudio's (4 systems, 25 prompts; with the
recordings, 15 prompts) and one of masked auto-regression (5 systems, 18 prompts). Each is judged
by mini and, with --mn04, by mini-mn04. Nobody rated these clips. A demo page shows what
its authors chose to show, and theirs is one of the systems; prompts are few. Writes
benchmarks/results/tta_leaderboard.json; --html writes the first leaderboard as a page.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from humanclap.evaluation.leaderboard.rank import leaderboard
from humanclap.evaluation.leaderboard.result import Leaderboard
from humanclap.evaluation.report.leaderboard_report import html_leaderboard
from humanclap.evaluation.report.leaderboard_words import summary
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.records import Pair, Score
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP
from humanclap.tables import Table, read_table

NOTE = "Demo pages show clips their authors chose; no person rated these clips."
EZAUDIO, IMPACT = "haidog-yaqub/EzAudio-Page", "audio-impact/audio-impact.github.io"
BOARDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "EzAudio's page": (EZAUDIO, ("audioldm2", "ezaudio_xl", "maa2", "tango")),
    "EzAudio's page, with the recordings": (
        EZAUDIO,
        ("audioldm2", "ezaudio_xl", "ground truth", "maa2", "tango"),
    ),
    "a masked auto-regression page": (
        IMPACT,
        ("audioldm2_full_demo_wav", "demo_ezaudio_l_wav", "demo_magnet_s_wav",
         "demo_mar_large_ACWC_wav", "demo_tango2_wav"),
    ),
}  # fmt: skip


def pairs_of(table: Table, source: str) -> list[Pair]:
    """The pairs of one page."""
    return [
        Pair(audio=row.text("audio"), text=row.text("text"), system=row.text("system"))
        for row in table.rows
        if row.text("source") == source
    ]


def board_of(scores: list[Score], systems: tuple[str, ...]) -> Leaderboard:
    """The leaderboard of some systems on the prompts all of them have."""
    settings = LeaderboardSettings(systems=systems, shared_only=True)
    return leaderboard({"tta-demos": scores}, settings, notes=[NOTE])


def kept(board: Leaderboard) -> dict[str, Any]:
    """What the results file keeps."""
    return {
        "prompts": board.prompts,
        "signature": board.signature,
        "standings": [
            {
                "system": s.system,
                "mean": [round(v, 4) for v in (s.mean, s.low, s.high)],
                "rank": [s.rank, s.rank_low, s.rank_high],
                "best_share": round(s.best_share, 3),
            }
            for s in board.standings
        ],
        "duels": [
            {
                "better": d.better,
                "other": d.other,
                "difference": [round(v, 4) for v in (d.difference, d.low, d.high)],
                "p": round(d.p, 4),
                "p_holm": round(d.p_holm, 4),
                "more_prompts": None if d.settled else d.more_prompts,
            }
            for d in board.duels
        ],
        "summary": summary(board),
    }


def main() -> None:
    """Score, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mn04", type=Path)
    parser.add_argument("--html", type=Path)
    arguments = parser.parse_args()
    table = read_table(arguments.folder / "pairs.csv")
    result: dict[str, Any] = {
        "command": "python benchmarks/tta_leaderboard.py SHARED/data/tta-demos --mn04 MN04",
        "caveat": NOTE,
        "boards": {},
    }
    for name in ("mini", *(["mini-mn04"] if arguments.mn04 else [])):
        model = HumanCLAP.from_pretrained(name, mn04=arguments.mn04)
        scores = {
            source: score_table(model, pairs_of(table, source), audio_root=arguments.folder)
            for source in (EZAUDIO, IMPACT)
        }
        for title, (source, systems) in BOARDS.items():
            board = board_of(scores[source], systems)
            result["boards"][f"{title}, {name}"] = kept(board)
            print(title, name, *summary(board), sep="\n  ")
            if arguments.html and name == "mini" and title == "EzAudio's page":
                page = html_leaderboard(board, audio_root=arguments.folder)
                arguments.html.write_text(page, encoding="utf-8")
    path = Path(__file__).parent / "results" / "tta_leaderboard.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
