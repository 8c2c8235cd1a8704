"""Anchored: every training run a fact that can be checked again.

`anchored.open()` gives a training repo whose methods are the commands; see docs/python.md. What is
named here is loaded when it is first used: importing this costs nothing and changes nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anchored.api.repo import Repo, open  # noqa: A004 - the word of its kind: see `gzip.open`
    from anchored.api.runs import Runs
    from anchored.decisions.audit import Audit
    from anchored.decisions.differences import Differences
    from anchored.decisions.gate import Retrained
    from anchored.errors import AnchoredError
    from anchored.records import ModelVersion, Reproduction, RunRecord, Verdict
    from anchored.restore.restore import Restored

__version__ = "0.1.0"

__all__ = [
    "AnchoredError",
    "Audit",
    "Differences",
    "ModelVersion",
    "Repo",
    "Reproduction",
    "Restored",
    "Retrained",
    "RunRecord",
    "Runs",
    "Verdict",
    "__version__",
    "open",
]

_PLACES = {
    "AnchoredError": "errors",
    "Audit": "decisions.audit",
    "Differences": "decisions.differences",
    "ModelVersion": "records",
    "Repo": "api.repo",
    "Reproduction": "records",
    "Restored": "restore.restore",
    "Retrained": "decisions.gate",
    "RunRecord": "records",
    "Runs": "api.runs",
    "Verdict": "records",
    "open": "api.repo",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import logging

    # Prefect, when it is imported, puts a handler of its own on the root logger: not here.
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    root.handlers[:] = handlers
    root.setLevel(level)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
