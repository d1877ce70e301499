"""Findings of a run for the landing page: sentences that are measured, each with its evidence and the place to see it.

Why: a list of runs shows what was trained, and not what was learned. "Neuron 4 counts" is what a visitor remembers.
Every finding is computed from the saved labels, the history, or a recording of the task's own strings; none is assumed.
"""

from gatescope.explorer.findings.answers import Findings, findings_of
from gatescope.explorer.findings.finding import Finding

__all__ = ["Finding", "Findings", "findings_of"]
