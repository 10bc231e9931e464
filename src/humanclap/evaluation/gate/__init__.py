"""A gate for CI: is the new system no worse than the old one, and good enough? No torch.

In: one score table, or two, and `GateSettings`. Out: `result.Gate`: pass, fail, or not enough
prompts to tell, with its bounds. Begin with `decide.gate`; `questions` are the limits, `words` the
forms of the verdict.
"""

from humanclap.evaluation.gate.decide import gate
from humanclap.evaluation.gate.result import Check, Gate, Verdict
from humanclap.evaluation.gate.settings import GateSettings
from humanclap.evaluation.gate.table import GateTable, read_gate_table

__all__ = ["Check", "Gate", "GateSettings", "GateTable", "Verdict", "gate", "read_gate_table"]
