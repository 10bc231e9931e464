"""Grids of training runs, judged on pairs they have not met.

A room above the stages, since a grid needs several of them and stages never import each other. In:
a recipe (TOML) and rated tables. Out: runs on disk, and one table with intervals. Begin with
`run.run_experiment`; `data` divides who trains, chooses and judges, `grid` trains, `summary`
judges.
"""
