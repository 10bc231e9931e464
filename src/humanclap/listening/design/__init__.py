"""What a study asks, and of whom. Pure: no database, no web.

In: a study file and its pairs. Out: a frozen `design.StudyDesign`, its anchors, comparisons and
trials. Begin with `design`; `assignment` says who hears what, `quotas` how often, `wording` what
they read.
"""
