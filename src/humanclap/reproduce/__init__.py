"""The paper in one command: fetch, train its grid, judge it and the released models, report.

A room above `experiments`, whose grid it runs. In: an output folder and a `Request`. Out: stages
on disk that a second call does not repeat, and one report (`human_clap.reproduce_human_clap`,
`xacle.reproduce_xacle`). Begin with `human_clap`.
"""
