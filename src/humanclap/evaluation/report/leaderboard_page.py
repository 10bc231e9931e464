"""A leaderboard as one self-contained HTML page."""

from __future__ import annotations

from html import escape
from pathlib import Path

from humanclap.evaluation.leaderboard.result import Leaderboard
from humanclap.evaluation.markup import html
from humanclap.evaluation.markup.charts import Bar, chart
from humanclap.evaluation.markup.players import Card, Players
from humanclap.evaluation.report import leaderboard_words as words
from humanclap.evaluation.report.comparability import leaderboard_signature
from humanclap.evaluation.report.metric_names import model_of
from humanclap.evaluation.report.ranking_report import picture
from humanclap.evaluation.report.ranking_words import RANKING, method_lines
from humanclap.made import Made, made_now


def html_leaderboard(
    board: Leaderboard,
    *,
    audio_root: str | Path | None = None,
    link_from: str | Path | None = None,
    made: Made | None = None,
) -> str:
    """The leaderboard as one HTML document; the arguments are those of `page.html_report`."""
    players = Players(
        None if audio_root is None else Path(audio_root),
        None if link_from is None else Path(link_from),
    )
    made = made or made_now()
    title = words.title(board)
    first, *further = words.summary(board)
    model = model_of(board.signature)
    by = f"by {model}" if model else "by a metric without a signature"
    body = html.opening(
        title,
        about=f"{by} · {made.date}",
        notes=board.notes,
        headline=[*words.of_people(board)[:2], first, words.CAVEAT],
        picture=_means(board),
        warnings=[*words.warnings(board), *words.caveats(board)[1:]],
    )
    for name, (heads, rows) in words.sections(board):
        body.append(f"<h2>{escape(name)}</h2>{html.table(heads, rows)}")
        if name == RANKING and board.people is not None:
            told = words.of_people(board)[2:]
            body += [picture(board.people), html.bullets("findings", told) if told else ""]
        if name == "Leaderboard" and further:
            body.append(html.bullets("findings", further))
    if players.root is not None and board.worst:
        cards = [Card(c.audio, c.text, (f"{c.system} · {c.value:.3f}",)) for c in board.worst]
        body.append(players.cards(cards))
    facts = [
        f"Signature: {board.signature or 'none in the tables'}",
        f"Compared as: {leaderboard_signature(board)}",
        words.method_line(board),
        *([] if board.people is None else method_lines(board.people)),
    ]
    body.append("<h2>How this was computed</h2>" + html.bullets("facts", facts))
    body.append(html.how_made(made, [model or "not known, the scores carry no signature"]))
    return html.document(title, body, linked_audio=players.linked)


def _means(board: Leaderboard) -> str:
    plot = chart(
        [Bar(label=s.system, value=s.mean, low=s.low, high=s.high) for s in board.standings]
    )
    caption = f"Mean {board.settings.value} with its interval. Overlapping intervals do not mean a "
    return html.figure(plot, f"{caption}tie: the tests below are paired by prompt.")
