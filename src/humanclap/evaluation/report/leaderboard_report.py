"""A leaderboard as a document and as JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from humanclap.evaluation.leaderboard.result import Leaderboard
from humanclap.evaluation.markup import html
from humanclap.evaluation.markup.charts import chart
from humanclap.evaluation.markup.players import Card, Players
from humanclap.evaluation.report import leaderboard_words as words
from humanclap.evaluation.report.choices_report import ranking_picture
from humanclap.evaluation.report.comparability import leaderboard_signature
from humanclap.evaluation.report.document import Document, Section
from humanclap.evaluation.report.marks import system_marks
from humanclap.evaluation.report.metric_names import model_of
from humanclap.evaluation.report.ranking_words import RANKING, method_lines, summary
from humanclap.json_values import to_json
from humanclap.provenance import Provenance, provenance_now


def leaderboard_document(
    board: Leaderboard, *, players: Players | None = None, made: Provenance | None = None
) -> Document:
    """The leaderboard; players: make the lowest clips heard on a page."""
    people = [] if board.people is None else summary(board.people)
    findings = words.summary(board)
    model = model_of(board.signature)
    return Document(
        title=words.title(board),
        about=f"by {model}" if model else "by a metric without a signature",
        notes=board.notes,
        headline=[*people[:2], findings[0], words.CAVEAT],
        picture=_means(board),
        warnings=words.warnings(board),
        findings=[*people, *findings],
        caveats=words.caveats(board),
        sections=_sections(board, players),
        facts=[
            f"Signature: {board.signature or 'none in the tables'}",
            f"Compared as: {leaderboard_signature(board)}",
            words.method_line(board),
            *([] if board.people is None else method_lines(board.people)),
        ],
        made=made or provenance_now(),
        models=[model or "not known, the scores carry no signature"],
        linked_audio=players is not None and players.linked,
    )


def html_leaderboard(
    board: Leaderboard,
    *,
    audio_root: str | Path | None = None,
    link_from: str | Path | None = None,
    made: Provenance | None = None,
) -> str:
    """The leaderboard as one HTML document; the arguments are those of `html_report`."""
    players = Players.below(audio_root, link_from)
    return leaderboard_document(board, players=players, made=made).page()


def json_leaderboard(board: Leaderboard, *, made: Provenance | None = None) -> str:
    """The leaderboard as JSON; an undefined number is null."""
    found = {
        "compared_as": leaderboard_signature(board),
        "made": (made or provenance_now()).to_dict(),
        "warnings": words.warnings(board),
        **board.to_dict(),
    }
    return to_json(found) + "\n"


def _sections(board: Leaderboard, players: Players | None) -> list[Section]:
    after = {}
    if board.people is not None:
        after[RANKING] = ranking_picture(board.people)
    if players is not None and players.root is not None:
        cards = [Card(c.audio, c.text, (f"{c.system} · {c.value:.3f}",)) for c in board.worst]
        after[words.LOWEST] = players.cards(cards)
    return [
        replace(section, after=after.get(section.title, "")) for section in words.sections(board)
    ]


def _means(board: Leaderboard) -> str:
    caption = (
        f"Mean {board.settings.value} with its interval. Overlapping intervals do not mean a tie: "
        "the tests below are paired by prompt."
    )
    return html.figure(chart(system_marks(board)), caption)
