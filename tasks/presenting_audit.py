"""What Prefect's UI shows of an audit: a summary, and the findings as a table."""

from __future__ import annotations

from collections import Counter

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from anchored.decisions.audit import Audit
from anchored.display.shown import shown
from tasks.presenting import artifact_key, as_markdown, never_failing

ROWS = 1_000  # of the table: pages and their database are not made for more


@never_failing
def present_audit(experiment: str, audit: Audit) -> None:
    """Publishes the artifacts, one history of them for each experiment."""
    create_markdown_artifact(
        key=artifact_key("audit-summary", experiment),
        markdown=summary(audit),
        description=f"Audit of {as_markdown(experiment)}",
    )
    if audit.findings:
        create_table_artifact(
            key=artifact_key("audit", experiment),
            table=[
                {key: shown(value) for key, value in finding.to_json().items()}
                for finding in audit.findings[:ROWS]
            ],
            description=f"{min(len(audit.findings), ROWS):,} of {len(audit.findings):,} findings",
        )


def summary(audit: Audit) -> str:
    """What an audit came to, in Markdown."""
    counts = Counter(str(finding.problem) for finding in audit.findings)
    of_runs = f"**{audit.reproducible:,} of {audit.runs:,} runs** can be reproduced"
    looked = f"{audit.objects:,} objects looked at in {audit.seconds:.1f} s."
    found = [f"- {problem}: {count:,}" for problem, count in sorted(counts.items())]
    return "\n".join([f"{of_runs}; {looked}", *found])
