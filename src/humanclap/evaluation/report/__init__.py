"""Results in sentences, tables, pages, figures and files.

In: the frozen results of `agreement`, `choices` and `leaderboard`. Out: text, Markdown, HTML, JSON,
LaTeX and figures. Begin with `files.write_reports`; a module `..._words` has the sentences of one
kind of result, `..._page` its page; `comparability` says which figures may stand side by side.
"""
