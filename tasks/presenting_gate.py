"""What Prefect's UI shows of a gate: the decision with its numbers, and the model version."""

from __future__ import annotations

from prefect.artifacts import create_link_artifact, create_table_artifact

from anchored.decisions.gate import Decision, Retrained
from anchored.records import ModelVersion, RunRecord
from tasks.presenting import (
    artifact_key,
    as_address,
    as_link_text,
    as_markdown,
    as_result,
    never_failing,
    plain_rows,
)


@never_failing
def present_decision(run: RunRecord, decision: Decision, version: ModelVersion | None) -> None:
    """Publishes the decision as a table, and a link to the model version where it has a page."""
    word = "promoted" if decision.passed else "refused"
    create_table_artifact(
        key=artifact_key("gate", run.experiment),
        table=gate_table(run, decision, version),
        description=f"**{as_markdown(run.name)}** is **{word}**: {as_markdown(decision.reason)}",
    )
    if version is not None and (link := as_address(version.url)):
        create_link_artifact(
            key=artifact_key("model", run.experiment),
            link=link,
            link_text=as_link_text(f"{version.model} {version.version}"),
            description=f"The registered model of {as_markdown(run.name)}",
        )


def ended_by(retrained: Retrained) -> Retrained:
    """What a flow that came to this returns."""
    return as_result(retrained, retrained.outcome.capitalize(), retrained.reason)


def gate_table(
    run: RunRecord, decision: Decision, version: ModelVersion | None
) -> list[dict[str, str]]:
    """The decision's facts as rows: what it is, and its value."""
    place = "on this run's data" if decision.evaluated else "as recorded by each run"
    rows = [
        ("decision", "passed" if decision.passed else "refused"),
        ("reason", decision.reason),
        ("metric", f"{decision.metric} ({decision.goal}), {place}"),
        (f"new: {run.name}", _number(decision.value)),
        (f"champion: {decision.champion_name}", _number(decision.champion_value)),
        ("improvement", _number(decision.improvement)),
        ("improvement asked for", _number(decision.needed)),
    ]
    if version is not None:
        rows.append(("model version", f"{version.model} {version.version}"))
        rows.append(("aliases", ", ".join(version.aliases)))
    return plain_rows(rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
