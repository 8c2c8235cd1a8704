"""Why a reproduction gave another result: from evidence, the strongest first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from anchored.decisions.differences import differing_environment
from anchored.records import Check, Environment, Verdict

SHOWN = 8  # packages or variables named in one cause
PACKAGES, VARIABLES = "packages/", "variables/"
# Modules that their packages are not named after.
PACKAGE_OF = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "yaml": "pyyaml",
}
IMPORTS = r"^\s*(from|import)\s"  # lines to look at, for `git grep`
_IMPORT = re.compile(r"\s*(?:from\s+([\w.]+)\s+import\b|import\s+([\w., ]+))")
UNEXPLAINED = (
    "training is not deterministic: nothing that was recorded differs, and it gave another result "
    "(--repeat 2 measures how far it agrees with itself)"
)
UNRECORDED = (
    "nothing that was recorded differs, and training agrees with itself: "
    "something that is not recorded has changed"
)


def environment_checks(
    recorded: Environment | None, today: Environment, imported: Collection[str] = ()
) -> tuple[Check, ...]:
    """The environment as a whole, and each fact, package and variable in which it differs.

    Of packages first those that the code imports, then those that are another version.
    """
    if recorded is None:
        return (Check("environment", None, today.md5, equal=False),)
    differing = differing_environment(recorded, today)
    checks = [Check(name, s.before, s.after, equal=False) for name, s in differing.items()]
    whole = Check("environment", recorded.md5, today.md5, equal=recorded.md5 == today.md5)
    return (whole, *sorted(checks, key=lambda check: _rank(check, imported)))


def imported_packages(lines: Iterable[str]) -> frozenset[str]:
    """The packages, as indexes call them, that lines of Python source import."""
    modules: set[str] = set()
    for line in lines:
        if match := _IMPORT.match(line):
            names = [match[1]] if match[1] else match[2].split(",")
            modules |= {name.split()[0].split(".")[0] for name in names if name.strip()}
    named = filter(None, modules)  # `from . import` names none
    return frozenset(PACKAGE_OF.get(name, name).lower().replace("_", "-") for name in named)


def _rank(check: Check, imported: Collection[str]) -> tuple[bool, ...]:
    if not check.what.startswith(PACKAGES):
        return (check.what.startswith(VARIABLES),)
    is_other = check.recorded is not None and check.reproduced is not None
    return (False, True, check.what.removeprefix(PACKAGES) not in imported, not is_other)


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
        causes.append("the run recorded no environment, so what differs in it is unknown")
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
        for name, check in checks.items()
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
