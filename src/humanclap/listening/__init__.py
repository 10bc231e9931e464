"""Listening tests: design a study, serve it, keep the answers, export the ratings.

In: a study file (TOML) and a table of pairs. Out: ratings or choices as `humanclap ratings` reads
them. `design` says what is asked of whom, `study` keeps it and its answers, `web` serves it,
`results` reads it, `rehearsal` takes it with simulated listeners. Begin with `study.study`.
"""
