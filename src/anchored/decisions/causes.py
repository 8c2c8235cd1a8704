"""Why a reproduction gave another result: from evidence, most telling first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anchored.decisions.differences import differing_environment
from anchored.records import Check, Environment, Verdict

SHOWN = 8  # packages or variables named in one cause
PACKAGES, VARIABLES = "packages/", "variables/"
UNEXPLAINED = (
    "training is not deterministic: nothing that was recorded differs, and it gave another result "
    "(--repeat 2 measures how far it agrees with itself)"
)
UNRECORDED = (
    "nothing that was recorded differs, and training agrees with itself: "
    "something that is not recorded has changed"
)


def environment_checks(recorded: Environment | None, today: Environment) -> tuple[Check, ...]:
    """The environment as a whole, and each fact, package and variable in which it differs."""
    if recorded is None:
        return (Check("environment", None, today.md5, equal=False),)
    differing = differing_environment(recorded, today)
    return (
        Check("environment", recorded.md5, today.md5, equal=recorded.md5 == today.md5),
        *(Check(name, sides.before, sides.after, equal=False) for name, sides in differing.items()),
    )


def causes_of(
    verdict: Verdict,
    environment: Sequence[Check],
    *,
    lost: Sequence[str] = (),
    agrees: bool | None = None,
) -> tuple[str, ...]:
    """What can have made the difference; nothing where there is none.

    `environment` is of `environment_checks`; `lost` says what could not be restored as it was;
    `agrees` is whether several trainings agreed, None where there was one.
    """
    if verdict == Verdict.IDENTICAL:
        return ()
    differing = {check.what: check for check in environment if not check.equal}
    whole = differing.pop("environment", None)
    causes = [
        _listed("packages differ", _of_kind(differing, PACKAGES)),
        *(_sentence(check) for name, check in differing.items() if "/" not in name),
        _listed("variables differ", _of_kind(differing, VARIABLES)),
        *lost,
    ]
    if whole is not None and whole.recorded is None:
        causes.append("the run recorded no environment, so nothing tells what differs in it")
    if agrees is False:
        causes.append(
            "training is not deterministic: it does not agree with itself, in two fresh trainings"
        )
    found = tuple(filter(None, causes))
    if verdict == Verdict.FAILED:
        return tuple(dict.fromkeys((*lost, *found)))  # why it failed comes before all else
    if found:
        return found
    if agrees:
        return (UNRECORDED,)
    return (UNEXPLAINED,)


def _of_kind(checks: Mapping[str, Check], prefix: str) -> list[str]:
    return [
        f"{name.removeprefix(prefix)} {_shown(check.recorded)} → {_shown(check.reproduced)}"
        for name, check in sorted(checks.items())
        if name.startswith(prefix)
    ]


def _listed(what: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    more = f", and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return f"{what}: {', '.join(items[:SHOWN])}{more}"


def _sentence(check: Check) -> str:
    return f"{check.what} differs: {_shown(check.recorded)} → {_shown(check.reproduced)}"


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
