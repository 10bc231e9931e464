"""How well metrics agree with people's ratings.

In: joined scores and targets. Out: a frozen `result.Comparison`: each statistic with its interval,
by group and level, with noise ceilings, floors and paired tests. Begin with `evaluate.compare`;
`judged` says which targets count, `members` which pairs belong to a group, `groups` measures one,
`scale_map` brings scores onto the scale of the ratings.
"""
