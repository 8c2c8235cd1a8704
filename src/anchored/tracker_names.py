"""The kinds of trackers that exist, by the names that configuration and records give them.

How each is made is in `anchored.workspace.trackers`, one row a kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TrackerName = Literal["mlflow", "wandb"]
DEFAULT: TrackerName = "mlflow"


@dataclass(frozen=True, slots=True)
class TrackerFacts:
    """What is known of a kind of tracker without its library.

    `title` is what people call it. `experiment_variable` is the environment variable by which its
    users name their experiment; empty if it has none.
    """

    title: str
    experiment_variable: str = ""


KNOWN: Mapping[TrackerName, TrackerFacts] = {
    "mlflow": TrackerFacts("MLflow"),
    "wandb": TrackerFacts("W&B", experiment_variable="WANDB_PROJECT"),
}


def title_of(kind: str) -> str:
    """What people call a kind of tracker; a kind that is not known here is called by its name."""
    return next((facts.title for name, facts in KNOWN.items() if name == kind), kind)
