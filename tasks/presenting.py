"""What Prefect's UI shows of a run: name, tags, labels, a lineage table, a link to the tracker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar, cast
from urllib.parse import quote

from prefect import runtime
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.states import Completed

from anchored.decisions.naming import flow_tags
from anchored.decisions.redaction import redact
from anchored.display.shown import shown, shown_lines
from anchored.records import FlowLink, Reproduction, RunRecord, Verdict
from tasks.reporting import RunLog
from tasks.step import in_flow_run

P = ParamSpec("P")
R = TypeVar("R")


def current_flow() -> FlowLink:
    """The flow run that is under way; empty outside of one."""
    if not in_flow_run():
        return FlowLink()
    url = str(runtime.flow_run.ui_url or "")
    # A temporary server has no page: Prefect 3.8.8 then gives an address that starts with None.
    return FlowLink(str(runtime.flow_run.id or ""), url if url.startswith("http") else "")


def never_failing(present: Callable[P, None]) -> Callable[P, None]:
    """What shows a run, made unable to fail it: a full database costs the picture, not the run.

    Outside of a flow run there is no page to show it on.
    """

    @wraps(present)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        if not in_flow_run():
            return
        try:
            present(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever Prefect's server has against it
            said = redact(" ".join(str(error).split()))[:300]
            RunLog().warn(f"Prefect's page does not show all of this run: {said}")

    return wrapped


@never_failing
def present_name(run: RunRecord) -> None:
    """Names the flow run after its run, from the first step on."""
    _update(run, flow_tags(name=run.name, commit="", data="", model=""))


@never_failing
def present_lineage(run: RunRecord) -> None:
    """Shows commit and hashes as tags, labels and a table, and links to the tracker."""
    tags = flow_tags(
        name=run.name,
        commit=run.git.commit,
        data=run.data[0].md5 if run.data else "",
        model=run.model[0].md5 if run.model else "",
    )
    _update(run, tags)
    create_table_artifact(
        key=artifact_key("lineage", run.experiment),
        table=lineage_table(run),
        description=f"Lineage of run **{as_markdown(run.name)}**",
    )
    said = "The tracker run with params, metrics and artifacts"
    _link_to_tracker(run, artifact_key("tracker", run.experiment), said)


@never_failing
def present_reproduction(original: RunRecord, run: RunRecord, reproduction: Reproduction) -> None:
    """Shows the lineage of a run and the verdict on it, and links to the run that was made."""
    present_lineage(original)
    key = artifact_key("reproduction", original.experiment)
    _link_to_tracker(run, key, "The tracker run of the reproduction")
    causes = "".join(f"\n- {as_markdown(cause)}" for cause in reproduction.causes)
    create_table_artifact(
        key=artifact_key("verdict", original.experiment),
        table=verdict_table(reproduction),
        description=f"**{as_markdown(original.name)}** is **{reproduction.verdict}**{causes}",
    )


STATES = {Verdict.DIFFERENT: "Different", Verdict.FAILED: "Not reproduced"}


def ended_by(reproduction: Reproduction) -> Reproduction:
    """What a flow that gave this verdict returns: it did its work, and its state says which."""
    said = f"{shown(reproduction.name)} is {reproduction.verdict}"
    name = STATES.get(reproduction.verdict, "Completed")
    return as_result(reproduction, name, "\n".join([said, *reproduction.causes]))


def as_result(result: R, name: str, message: str) -> R:
    """What a flow returns so that its run ends Completed under a name, and its caller has `result`.

    Prefect takes a state for the end of the flow run, and hands its data to the caller.
    """
    if not in_flow_run():
        return result
    return cast("R", Completed(name=name, message=shown_lines(message), data=result))


def verdict_table(reproduction: Reproduction) -> list[dict[str, str]]:
    """What was compared as rows: whether it is equal, and as recorded and reproduced."""
    rows = [
        {"what": "verdict", "equal": "", "recorded": "", "reproduced": str(reproduction.verdict)}
    ]
    for check in reproduction.checks:
        near = "within tolerance" if check.within else "no"
        # What counts comes first: of two hashes side by side the page cuts the second one off.
        rows.append(
            {
                "what": shown(check.what),
                "equal": "yes" if check.equal else near,
                "recorded": shown(_in_full(check.recorded)),
                "reproduced": shown(_in_full(check.reproduced)),
            }
        )
    return rows


def _in_full(value: str | float | None) -> str:
    """Every digit, for the last may be the one that differs; 472 rather than 472.0."""
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return "" if value is None else str(value)


def artifact_key(kind: str, experiment: str) -> str:
    """An artifact's key: one history of each kind for each experiment."""
    name = re.sub(r"[^a-z0-9]+", "-", experiment.lower()).strip("-") or "experiment"
    return f"{kind}-{name}"[:250]


def lineage_table(run: RunRecord) -> list[dict[str, str]]:
    """The run's facts as rows: what it is, and its value."""
    rows = [
        ("run", run.name),
        ("run id", run.run_id),
        ("state", str(run.state)),
        ("commit", run.git.commit),
        ("source commit", run.git.source_commit),
        ("branch", run.git.branch),
        ("run ref", run.git.ref),
        *((f"data {pointer.path}", pointer.md5) for pointer in run.data),
        *((f"model {pointer.path}", pointer.md5) for pointer in run.model),
        *((f"param {name}", str(value)) for name, value in run.params.items()),
        *((f"metric {name}", f"{value:.6g}") for name, value in run.metrics.items()),
        ("environment", str(run.environment.get("md5", ""))),
        ("tracker", run.tracker.place),
    ]
    return plain_rows(rows)


def _link_to_tracker(run: RunRecord, key: str, description: str) -> None:
    """Links to the run's page, where its tracker has one."""
    if link := as_address(run.tracker.url):
        create_link_artifact(
            key=key,
            link=link,
            link_text=as_link_text(f"{run.name} in {run.tracker.title}"),
            description=description,
        )


def _update(run: RunRecord, tags: list[str]) -> None:
    flow_run_id = runtime.flow_run.id
    if not flow_run_id:
        return
    labels = {
        "anchored.run_id": run.run_id,
        "anchored.run": run.name,
        "git_commit": run.git.commit,
        "git_source_commit": run.git.source_commit,
        **{f"dvc_data_md5/{pointer.path}": pointer.md5 for pointer in run.data},
        **{f"dvc_model_md5/{pointer.path}": pointer.md5 for pointer in run.model},
    }
    kept = [tag for tag in runtime.flow_run.tags or () if tag not in tags]
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run_id, name=shown(run.name), tags=[*kept, *tags])
        client.update_flow_run_labels(
            flow_run_id, {shown(key): shown(value) for key, value in labels.items() if value}
        )


def as_markdown(text: str) -> str:
    """A string that Markdown shows as it is, whatever links, pictures or HTML are in it."""
    return re.sub(r"([!-.:-@\[-`{-~])", r"\\\1", shown(text))


def as_link_text(text: str) -> str:
    """The text of a link artifact: Prefect's page shows escapes there as they are (3.8.8)."""
    return re.sub(r"[\[\]()<>`!*\\]+", " ", shown(text)).strip()


def as_address(url: str) -> str:
    """An address that stays one as the target of a link in Markdown; empty for one of no page."""
    is_page = url.startswith(("http://", "https://", "file://"))
    return quote(url, safe=":/?#[]@!$&'*+,;=%~") if is_page else ""


def plain_rows(rows: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Rows of a table on a page: what it is, and its value; those without a value are left out."""
    return [{"what": shown(what), "value": shown(value)} for what, value in rows if value]
