"""Why a reproduction gave another result: from evidence, most telling first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anchored.records import Check, Environment, Verdict

SHOWN = 8  # packages or variables named in one cause
UNEXPLAINED = (
    "training is not deterministic: nothing that was recorded differs, and it gave another result "
    "(--repeat 2 measures how far it agrees with itself)"
)
UNRECORDED = (
    "nothing that was recorded differs, and training agrees with itself: "
    "something that is not recorded has changed"
)
FACTS = ("python", "implementation", "platform", "machine", "cpu", "cpus")


def environment_checks(recorded: Environment | None, today: Environment) -> tuple[Check, ...]:
    """The environment as a whole, and each fact, package and variable in which it differs."""
    if recorded is None:
        return (Check("environment", None, today.md5, equal=False),)
    whole = Check("environment", recorded.md5, today.md5, equal=recorded.md5 == today.md5)
    facts = [
        Check(name, getattr(recorded, name), getattr(today, name), equal=False)
        for name in FACTS
        if getattr(recorded, name) != getattr(today, name)
    ]
    return (
        whole,
        *facts,
        *_differing("package", recorded.packages, today.packages),
        *_differing("variable", recorded.variables, today.variables),
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
    differing = [check for check in environment if not check.equal]
    causes = [
        _listed("packages differ", _of_kind(differing, "package ")),
        *(_sentence(c) for c in differing if c.what == "python"),
        *(_sentence(c) for c in differing if c.what in FACTS and c.what != "python"),
        _listed("variables differ", _of_kind(differing, "variable ")),
        *lost,
    ]
    if any(check.what == "environment" and check.recorded is None for check in differing):
        causes.append("the run recorded no environment, so nothing tells what differs in it")
    if agrees is False:
        causes.append(
            "training is not deterministic: it does not agree with itself, in two fresh trainings"
        )
    found = tuple(filter(None, causes))
    if found or verdict == Verdict.FAILED:
        return found
    if agrees:
        return (UNRECORDED,)
    return (UNEXPLAINED,)


def _differing(kind: str, recorded: Mapping[str, str], today: Mapping[str, str]) -> list[Check]:
    names = sorted(recorded.keys() | today.keys())
    return [
        Check(f"{kind} {name}", recorded.get(name), today.get(name), equal=False)
        for name in names
        if recorded.get(name) != today.get(name)
    ]


def _of_kind(checks: Sequence[Check], prefix: str) -> list[str]:
    return [
        f"{check.what.removeprefix(prefix)} {_shown(check.recorded)} → {_shown(check.reproduced)}"
        for check in checks
        if check.what.startswith(prefix)
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
