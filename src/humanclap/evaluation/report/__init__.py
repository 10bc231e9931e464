"""Results in sentences, tables, pages, figures and files.

In: the frozen results of `agreement`, `choices` and `leaderboard`. Out: text, Markdown, HTML, JSON,
LaTeX and figures. Begin with `files.write_reports`. A module `..._words` has the sentences of one
kind of result; `document` gives a report its forms; `comparability` says which figures may be
compared with each other.
"""
