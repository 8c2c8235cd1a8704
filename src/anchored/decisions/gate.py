"""The gate of `retrain`: whether a new model is better than the champion, and by enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from anchored.decisions.margin import Margin
from anchored.display import html
from anchored.records import ModelVersion, RunRecord

PENDING = "pending"  # of a run that `retrain` opened and has not judged yet


class Outcome(StrEnum):
    """What a `retrain` came to."""

    SKIPPED = "skipped"  # nothing changed since a sealed run
    SEALED = "sealed"  # a new run; nothing is configured to compare it with, or to register it in
    PROMOTED = "promoted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model at the gate: its run, and the metrics that it is judged by."""

    run_id: str
    name: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a model passes, with the numbers: `anchored/gate.json`.

    `improvement` is positive where the new value is better, whatever the goal, and `needed` the
    least that was asked for: both in the metric's unit. `evaluated` says that both values are of
    the new run's data. `champion` is empty where there was none.
    """

    passed: bool
    reason: str
    metric: str
    goal: str
    run_id: str
    value: float | None = None
    champion: str = ""
    champion_name: str = ""
    champion_value: float | None = None
    improvement: float | None = None
    needed: float = 0.0
    evaluated: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Raises `ValueError` and `TypeError` for a value that is no decision."""
        if not isinstance(value, Mapping):
            raise ValueError("not a decision")  # noqa: TRY004 - it is the text that is wrong
        items = {f.name: value[f.name] for f in fields(cls) if f.name in value}
        for key, item in items.items():
            is_flag = isinstance(item, bool)
            number = isinstance(item, int | float) and not is_flag
            if key in {"passed", "evaluated"}:
                fits = is_flag
            elif key in {"value", "champion_value", "improvement", "needed"}:
                fits = number or (item is None and key != "needed")
            else:
                fits = isinstance(item, str)
            if not fits:
                raise ValueError(f"{key} is a {type(item).__name__}")
        return cls(**items)


@dataclass(frozen=True, slots=True)
class Retrained:
    """What a retrain came to: `anchored retrain --json`.

    `run` is the new one, or where training was skipped the one that it would only have repeated;
    `changed` names the inputs that were not what the branch's pointers said, `folder_behind` those
    of which the user's folder has an earlier version than the branch now.
    """

    outcome: Outcome
    run: RunRecord
    decision: Decision | None = None
    version: ModelVersion | None = None
    changed: tuple[str, ...] = ()
    folder_behind: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The outcome in a sentence."""
        if self.outcome == Outcome.SKIPPED:
            return f"nothing changed since run {self.run.name!r} ({self.run.run_id})"
        if self.decision is None:
            return f"{self.run.name!r} has no gate to pass: see [retrain] in anchored.toml"
        return self.decision.reason

    def _repr_html_(self) -> str:
        rows = [
            ("reason", self.reason),
            ("run", self.run.run_id),
            ("changed", ", ".join(self.changed)),
            ("your folder is behind", ", ".join(self.folder_behind)),
            ("version", self.version and f"{self.version.model} {self.version.version}"),
        ]
        return html.facts(f"{self.run.name}: {self.outcome}", rows)

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": str(self.outcome),
            "reason": self.reason,
            "run": self.run.to_json(),
            "changed": list(self.changed),
            "folder_behind": list(self.folder_behind),
            "equals": self.run.run_id if self.outcome == Outcome.SKIPPED else None,
            "gate": None if self.decision is None else self.decision.to_json(),
            "version": None if self.version is None else self.version.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Gate:
    """What a new model has to be: better by `metric` than the champion, by the margin at least."""

    metric: str
    goal: str
    margin: Margin

    def decision(
        self, new: Candidate, champion: Candidate | None, *, evaluated: bool = False
    ) -> Decision:
        """The decision on a new model. Without a champion the first one that has the metric passes.

        Equal is not better: a champion stays until something beats it.
        """
        value = new.metrics.get(self.metric)
        facts = {**self._facts(new), "evaluated": evaluated}
        if value is None:
            return Decision(passed=False, reason=f"{new.name!r} has no {self.metric}", **facts)
        if champion is None:
            return Decision(passed=True, reason="there is no champion yet", **facts)
        facts |= {"champion": champion.run_id, "champion_name": champion.name}
        if champion.run_id == new.run_id:
            return Decision(passed=True, reason=f"{new.name!r} is the champion", **facts)
        best = champion.metrics.get(self.metric)
        if best is None:
            reason = f"the champion {champion.name!r} has no {self.metric} to compare with"
            return Decision(passed=False, reason=reason, **facts)
        improvement = best - value if self.goal == "min" else value - best
        needed = self.margin.at(best)
        facts |= {"champion_value": best, "improvement": improvement, "needed": needed}
        passed = improvement > 0 and (
            improvement >= needed or math.isclose(improvement, needed, rel_tol=1e-9)
        )
        reason = _in_words(self.metric, value, best, improvement, needed, passed=passed)
        return Decision(passed=passed, reason=reason, **facts)

    def refusal(self, new: Candidate, reason: str) -> Decision:
        """The decision on a model that there is nothing to compare with."""
        return Decision(passed=False, reason=reason, **self._facts(new))

    def _facts(self, new: Candidate) -> dict[str, Any]:
        value = new.metrics.get(self.metric)
        return {"metric": self.metric, "goal": self.goal, "run_id": new.run_id, "value": value}


def _in_words(
    metric: str, value: float, best: float, improvement: float, needed: float, *, passed: bool
) -> str:
    facts = f"{metric} {value:.6g}, the champion's {best:.6g}"
    if improvement <= 0:
        return f"{facts}: no better" if improvement == 0 else f"{facts}: worse"
    if passed:
        return f"{facts}: better by {improvement:.6g}"
    return f"{facts}: better by {improvement:.6g}, {needed:.6g} are asked for"
