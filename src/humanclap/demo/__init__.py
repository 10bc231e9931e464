"""A rated set out of nothing: synthesised sounds, invented systems and a simulated panel.

In: a seed. Out: clips, and ratings that are simulated, which every table of them says. Begin with
`sounds.synthesise` and `panel`.
"""
