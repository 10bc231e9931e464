"""A gate for CI: is the new system no worse than the old one, and good enough? No torch."""

from humanclap.evaluation.gate.decide import gate
from humanclap.evaluation.gate.found import Check, Gate, Verdict
from humanclap.evaluation.gate.settings import GateSettings
from humanclap.evaluation.gate.table import GateTable, read_gate_table

__all__ = ["Check", "Gate", "GateSettings", "GateTable", "Verdict", "gate", "read_gate_table"]
