"""A leaderboard as one self-contained HTML page."""

from __future__ import annotations

from html import escape
from pathlib import Path

from humanclap.evaluation import diagrams, html
from humanclap.evaluation import leaderboard_words as words
from humanclap.evaluation.identity import leaderboard_signature
from humanclap.evaluation.players import Card, Players
from humanclap.evaluation.standings import Leaderboard


def html_leaderboard(
    board: Leaderboard,
    *,
    audio_root: str | Path | None = None,
    link_from: str | Path | None = None,
) -> str:
    """The leaderboard as one HTML document; the arguments are those of `page.html_report`."""
    players = Players(
        None if audio_root is None else Path(audio_root),
        None if link_from is None else Path(link_from),
    )
    title = f"{len(board.standings)} systems compared on {board.prompts:,} prompts"
    body = [f"<h1>{escape(title)}</h1>", *map(html.banner, board.notes)]
    body += map(html.banner, words.warnings(board))
    body += [html.bullets("summary", words.summary(board)), html.banner(words.CAVEAT)]
    body.append(html.bullets("facts", words.caveats(board)[1:]))
    for name, (heads, rows) in words.sections(board):
        body.append(f"<h2>{escape(name)}</h2>{html.table(heads, rows)}")
        if name == "Leaderboard":
            body.append(_means(board))
    if players.root is not None and board.worst:
        cards = [Card(c.audio, c.text, (f"{c.system} · {c.value:.3f}",)) for c in board.worst]
        body.append(players.cards(cards))
    facts = [
        f"Signature: {board.signature or 'none in the tables'}",
        f"Compared as: {leaderboard_signature(board)}",
        words.method_line(board),
    ]
    body.append("<h2>How this was computed</h2>" + html.bullets("facts", facts))
    return html.document(title, body, linked_audio=players.linked)


def _means(board: Leaderboard) -> str:
    rows = [(s.system, s.mean, s.low, s.high) for s in board.standings]
    plot = diagrams.means_plot(rows, "Mean of each system with its interval")
    caption = f"Mean {board.settings.value} with its interval. Overlapping intervals do not mean a "
    return html.figure(plot, f"{caption}tie: the tests below are paired by prompt.")
