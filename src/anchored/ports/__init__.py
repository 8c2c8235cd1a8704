"""What the core needs of the world: a code repo, a data store, a tracker, and someone to tell.

Each is a small Protocol with one adapter or more behind it. Only values of `anchored.records` and
plain Python cross it; every foreign error is turned into one of `anchored.errors`.
"""

from anchored.ports.code import Advance, BranchOutcome, CodeRepo
from anchored.ports.data import DataStore, ExportedFile, PushOutcome
from anchored.ports.environments import Environments, Rebuilt
from anchored.ports.report import SILENT, Report, Silent
from anchored.ports.tracking import (
    NO_FILES,
    NOTHING,
    LoggedFiles,
    ModelContent,
    ModelRegistry,
    Pages,
    PageServer,
    RunReader,
    RunWriter,
    Tracker,
    TrackerPages,
    TrainingSession,
)

__all__ = [
    "NOTHING",
    "NO_FILES",
    "SILENT",
    "Advance",
    "BranchOutcome",
    "CodeRepo",
    "DataStore",
    "Environments",
    "ExportedFile",
    "LoggedFiles",
    "ModelContent",
    "ModelRegistry",
    "PageServer",
    "Pages",
    "PushOutcome",
    "Rebuilt",
    "Report",
    "RunReader",
    "RunWriter",
    "Silent",
    "Tracker",
    "TrackerPages",
    "TrainingSession",
]
