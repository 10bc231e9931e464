"""Judge metrics by people's choices, and rank systems by them."""

from humanclap.evaluation.choices.judge import judge_choices
from humanclap.evaluation.choices.judged import JudgedChoices

__all__ = ["JudgedChoices", "judge_choices"]
