"""Judge any metric's scores against people. No torch.

In: score tables, and people's ratings or choices. Out: frozen results and reports of them. Begin
with `compare`, which judges metrics; `leaderboard` ranks systems, `gate` says in CI whether a new
system is good enough, `choices` judges and ranks by people's choices, `report` writes it all down.
"""

from humanclap.evaluation.agreement.evaluate import compare, evaluate
from humanclap.evaluation.agreement.result import Comparison, Evaluation
from humanclap.evaluation.join import ScoreTable, join
from humanclap.evaluation.report.agreement_page import html_report
from humanclap.evaluation.report.files import json_report, markdown_report, write_reports
from humanclap.evaluation.settings import EvaluationSettings

__all__ = [
    "Comparison",
    "Evaluation",
    "EvaluationSettings",
    "ScoreTable",
    "compare",
    "evaluate",
    "html_report",
    "join",
    "json_report",
    "markdown_report",
    "write_reports",
]
