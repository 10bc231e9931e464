"""Judge any metric's scores against people. No torch."""

from humanclap.evaluation.evaluate import compare, evaluate
from humanclap.evaluation.join import ScoreTable, join
from humanclap.evaluation.page import html_report
from humanclap.evaluation.report import json_report, markdown_report, write_reports
from humanclap.evaluation.result import Comparison, Evaluation
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
