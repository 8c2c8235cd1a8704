"""The values that Anchored works with: frozen, comparable, and equal after a round trip in JSON."""

from __future__ import annotations

from anchored.records.code import CommitStanding, CommitText, GitFacts
from anchored.records.data import Pointer, Stamp
from anchored.records.environment import ENVIRONMENT_DOCUMENT, Environment
from anchored.records.reproduction import Check, Reproduction, Verdict
from anchored.records.run import (
    RUN_DOCUMENT,
    FlowLink,
    ParamValue,
    RunRecord,
    State,
    TrackerLink,
    rendered,
)
from anchored.records.tracked import Ended, ModelVersion, TrackedRun

__all__ = [
    "ENVIRONMENT_DOCUMENT", "RUN_DOCUMENT", "Check", "CommitStanding", "CommitText", "Ended",
    "Environment", "FlowLink", "GitFacts", "ModelVersion", "ParamValue", "Pointer", "Reproduction",
    "RunRecord", "Stamp", "State", "TrackedRun", "TrackerLink", "Verdict", "rendered",
]  # fmt: skip
