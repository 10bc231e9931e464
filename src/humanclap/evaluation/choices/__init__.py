"""Judge metrics by people's choices, and rank systems by them.

In: choices or votes, and score tables. Out: `accuracy_result.JudgedChoices` (share of decided
questions in which a metric sides with people) and `ranking_result.PeopleRanking` (Bradley-Terry
strengths). Begin with `accuracy.judge_choices` and `ranking.rank_by_choices`.
"""

from humanclap.evaluation.choices.accuracy import judge_choices
from humanclap.evaluation.choices.accuracy_result import JudgedChoices

__all__ = ["JudgedChoices", "judge_choices"]
