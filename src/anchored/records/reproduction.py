"""A verdict on a run: `anchored reproduce --json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from anchored.display import html


class Verdict(StrEnum):
    """What a reproduction found."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    DIFFERENT = "different"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was compared; `within`, of a metric alone, says that it is near enough."""

    what: str
    recorded: str | float | None
    reproduced: str | float | None
    equal: bool
    within: bool | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in asdict(self).items()
            if key != "within" or value is not None
        }


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A verdict on a run, with all that it rests on: `anchored reproduce --json`."""

    run: str
    name: str
    verdict: Verdict
    reproduction: str
    checks: tuple[Check, ...] = ()
    causes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "name": self.name,
            "verdict": str(self.verdict),
            "reproduction": self.reproduction,
            "checks": [check.to_json() for check in self.checks],
            "causes": list(self.causes),
            "seconds": round(self.seconds, 3),
        }

    def _repr_html_(self) -> str:
        rows = [
            (c.what, c.recorded, c.reproduced, "yes" if c.equal else "near" if c.within else "no")
            for c in self.checks
        ]
        header = ("", "recorded", "reproduced", "equal")
        title = ". ".join([f"{self.name} is {self.verdict}", *self.causes])
        return html.table(title, rows, header)
