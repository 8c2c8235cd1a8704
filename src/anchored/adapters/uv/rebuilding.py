"""A recorded environment built anew by uv: its Python, and every package in its very version.

A package may be on no index (a local project, a `+local` version) or need a compiler that is not
here. It is left out and named: the rest is worth more than nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from anchored.adapters.uv.command import Said, Uv
from anchored.decisions.redaction import url_without_credentials
from anchored.errors import DiskFull, EnvironmentFailed, ServiceFailed
from anchored.ports import Report
from anchored.records import Environment
from anchored.system.process import interpreter_of, probed

LONGEST = 1800.0  # seconds for all packages
LONGEST_CALL = 600.0  # seconds for one call: what has to be compiled for longer is left out
LONGEST_PYTHON = 300.0  # seconds to get one Python
TRIES = 200  # installations: one that fails for a package that nobody has takes a tenth of a second

# A record is not to be trusted: uv takes paths, URLs and options in the place of each of these.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+_-]*")
_PYTHON = re.compile(r"(\d+\.\d+)(\.\d+)?((a|b|rc)\d+)?")
# How uv 0.9 to 0.13 name the package that they fail for. The first is the one: what follows may
# quote a build of it.
_BLAMED = re.compile(
    r"Failed to [\w ]+ `([\w.-]+?)(?:==|`| @)|you require ([\w.-]+?)==|Because ([\w.-]+?) was not"
)
_SILENCES = ("error sending request", "client error (connect)", "tcp connect error", "dns error",
             "timed out", "http status server error", "too many requests")  # fmt: skip
_FULL = ("no space left on device", "disk quota exceeded")
_REFUSALS = ("401 unauthorized", "lack of valid authentication")


def fingerprint(recorded: Environment, variables: Mapping[str, str]) -> str:
    """What an environment is kept under: what it shall hold, and where that is looked for."""
    indexes = {
        name: url_without_credentials(value)
        for name, value in variables.items()
        if name.startswith("UV_") and ("INDEX" in name or "FIND_LINKS" in name)
    }
    key = [recorded.implementation, recorded.python, dict(recorded.packages), indexes]
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


class Rebuilding:
    """One attempt to build a recorded environment at `home`, with the settings that `tree` has."""

    def __init__(
        self, uv: Uv, recorded: Environment, tree: Path, home: Path, variables: Mapping[str, str]
    ) -> None:
        self._uv, self._recorded = uv, recorded
        self._tree, self._home, self._variables = tree, home, variables
        self._wheels_only = False

    def missing_once_built(self, report: Report) -> list[str]:
        """Builds the environment; what could not be had, in words."""
        packages = self._recorded.packages
        report.say(f"rebuilding Python {self._recorded.python} with {len(packages)} packages")
        missing = self._python()
        pins = {n: v for n, v in packages.items() if _NAME.fullmatch(n) and _VERSION.fullmatch(v)}
        left_out = set(self._left_out(list(pins.items()), report))
        return missing + [
            f"{name} {version}"
            for name, version in sorted(packages.items())
            if name not in pins or name in left_out
        ]

    # --- Python ---------------------------------------------------------------------------------

    def _python(self) -> list[str]:
        """Makes the environment, of the nearest Python that can be had; says if it is another."""
        wanted = self._recorded.python.rstrip("+")  # Debian's, built between two releases
        said = Said(worked=False, words="there is no Python")
        for python in self._candidates(wanted):
            said = self._uv(
                "venv", "--quiet", "--python", python, str(self._home),
                folder=self._tree, timeout=LONGEST_PYTHON,
            )  # fmt: skip
            if said.worked:
                actual = _version_of(self._home)
                same = wanted in ("", actual)
                return [] if same else [f"python {wanted} ({actual} instead)"]
        tail = said.words.splitlines()
        raise EnvironmentFailed("uv found no Python to rebuild the environment with", tail=tail)

    def _candidates(self, wanted: str) -> Iterator[str]:
        """The Python that was recorded, one of its minor version, and the one on the PATH.

        The last comes first where it is the one: uv looks past those of virtual environments.
        """
        own = interpreter_of("python", self._variables, self._tree)
        if own and self._is_recorded(own):
            yield own
        name = self._recorded.implementation.lower()
        prefix = "" if name in {"", "cpython"} else f"{name}@"
        if (match := _PYTHON.fullmatch(wanted)) and (not prefix or name.isalpha()):
            yield f"{prefix}{wanted}"
            yield f"{prefix}{match[1]}"
        if own:
            yield own

    def _is_recorded(self, interpreter: str) -> bool:
        said, recorded = probed(interpreter, self._variables, self._tree), self._recorded
        facts = Environment.parse(said) if said else Environment()
        return facts.python == recorded.python and recorded.implementation in (
            "",
            facts.implementation,
        )

    # --- packages -------------------------------------------------------------------------------

    def _left_out(self, pins: list[tuple[str, str]], report: Report) -> list[str]:
        """Installs what can be had of the pins; the names of the others.

        uv names one culprit at a time. Where it names none, the halves are tried by themselves.
        """
        deadline = time.monotonic() + LONGEST
        waiting, left_out, tries, total = [pins], [], 0, len(pins)
        while waiting:
            batch = waiting.pop()
            if tries >= TRIES or time.monotonic() > deadline:
                left_out += [name for name, _ in batch]
                continue
            tries += 1
            report.progress("packages tried", total - len(batch), total)
            said = self._installed(batch)
            if said.worked:
                continue
            _refuse_trouble(said)
            if said.timed_out and not self._wheels_only:
                self._wheels_only = True
                waiting.append(batch)
            elif blamed := _blamed(said.words, batch):
                left_out.append(blamed)
                waiting.append([pin for pin in batch if pin[0] != blamed])
            elif len(batch) > 1:
                middle = len(batch) // 2
                waiting += [batch[:middle], batch[middle:]]
            else:
                left_out.append(batch[0][0])
        return left_out

    def _installed(self, batch: Sequence[tuple[str, str]]) -> Said:
        if not batch:
            return Said(worked=True, words="")
        return self._uv(
            "pip", "install", "--quiet", "--no-deps", *(["--no-build"] * self._wheels_only),
            "--python", str(self._home / "bin" / "python"), "--requirement", "-",
            folder=self._tree, timeout=LONGEST_CALL,
            lines=[f"{name}=={version}" for name, version in batch],
        )  # fmt: skip


def _blamed(words: str, batch: Sequence[tuple[str, str]]) -> str | None:
    """The name, as recorded, of the package that uv says it fails for."""
    by_name = {_normalized(name): name for name, _ in batch}
    match = _BLAMED.search(words)
    return by_name.get(_normalized(next(filter(None, match.groups())))) if match else None


def _refuse_trouble(said: Said) -> None:
    """Raises a `ServiceFailed` where an index or the disk is the trouble and not a package."""
    if said.timed_out:
        return
    words = " ".join(said.words.split())
    if any(sign in words.lower() for sign in _FULL):
        raise DiskFull(words[:500])
    if any(sign in words.lower() for sign in _REFUSALS):
        raise ServiceFailed(
            f"a package index refuses us: {words[:500]}",
            transient=False,
            hint="give uv its credentials, as in UV_INDEX_<NAME>_PASSWORD",
        )
    # Of a build that fails for its own reasons uv says that first.
    if any(sign in words.lower() for sign in _SILENCES) and "Failed to build" not in words:
        raise ServiceFailed(f"a package index does not answer: {words[:500]}")


def _version_of(home: Path) -> str:
    """The Python version that uv has noted in an environment."""
    match = re.search(r"^version_info\s*=\s*(\S+)", (home / "pyvenv.cfg").read_text(), re.MULTILINE)
    return match[1] if match else "another"


def _normalized(name: str) -> str:
    """A package's name as indexes compare them (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
