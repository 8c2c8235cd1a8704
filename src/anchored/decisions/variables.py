"""Which environment variables training may see: the usual ones and those it was given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from anchored.decisions.redaction import MASK

# What a login, a shell, a locale, a virtual environment, TLS and a linker need. Anything beyond
# would let a value that no commit holds steer a run; `pass_env` names it, and it is recorded.
USUAL = frozenset((
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TEMP", "TMP", "LANG",
    "LANGUAGE", "TZ", "PWD", "HOSTNAME", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV",
    "PYENV_ROOT", "PYENV_VERSION", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "LD_PRELOAD", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY",
    "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
    "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "MPLCONFIGDIR", "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
))  # fmt: skip
USUAL_PREFIXES = ("LC_", "MLFLOW_", "WANDB_")
# They would send a script's calls to another run or experiment than the one opened for it.
# The last leads to the process that writes our own entries.
ASTRAY = frozenset((
    "MLFLOW_EXPERIMENT_ID", "WANDB_SWEEP_ID", "WANDB_RUN_GROUP", "WANDB_RESUME_FROM",
    "WANDB_FORK_FROM", "WANDB_SERVICE",
))  # fmt: skip
# They change the result of the same code on the same machine, so they go along and are recorded.
NUMERIC = frozenset((
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS", "OPENBLAS_CORETYPE",
    "MKL_CBWR", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "TF_DETERMINISTIC_OPS",
))  # fmt: skip


def training_variables(
    inherited: Mapping[str, str], pass_env: Iterable[str], own: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the training command: usual, passed on, and Anchored's own on top."""
    passed = set(pass_env)
    seen = {
        name: value
        for name, value in inherited.items()
        if name not in ASTRAY
        and (name in USUAL | NUMERIC | passed or name.startswith(USUAL_PREFIXES))
    }
    # Without it the order of sets of strings differs from run to run, and results with it.
    seen.setdefault("PYTHONHASHSEED", "0")
    return seen | {"PYTHONUNBUFFERED": "1"} | dict(own)


def moved_imports(
    python_path: str, *, root: Path, tree: Path, editable: Iterable[str], added: Iterable[str]
) -> str:
    """`PYTHONPATH` such that code of the repo is imported from the worktree, not the user's.

    Entries inside the repo are moved into the tree. A project that is installed in editable mode
    from inside the repo (`pip install -e .`) would be imported from the user's working tree; its
    counterparts in the tree, with the layouts `src/` and flat, are put before it. So are those of
    the folders inside the repo that something else added to the import path.
    """
    moved = []
    for project in editable:
        if (inside := _inside(project, root)) is not None:
            moved += [str(tree / inside / "src"), str(tree / inside)]
    for entry in filter(None, python_path.split(os.pathsep)):
        inside = _inside(entry, root)
        moved.append(entry if inside is None else str(tree / inside))
    moved += [str(tree / inside) for entry in added if (inside := _inside(entry, root)) is not None]
    return os.pathsep.join(dict.fromkeys(moved))


def _inside(path: str, root: Path) -> Path | None:
    """The path from the root, if it is an absolute path at or below it."""
    place = Path(path)
    return place.relative_to(root) if place.is_relative_to(root) else None


def activated(variables: Mapping[str, str], environment: Path) -> dict[str, str]:
    """The variables as after `source ENVIRONMENT/bin/activate`, with nothing of another one."""
    path = os.pathsep.join([str(environment / "bin"), variables.get("PATH", os.defpath)])
    others = {"PYTHONHOME", "PYTHONPATH"}
    kept = {name: value for name, value in variables.items() if name not in others}
    return {**kept, "VIRTUAL_ENV": str(environment), "PATH": path}


def as_recorded(variables: Mapping[str, str], recorded: Mapping[str, str]) -> dict[str, str]:
    """The variables with those that change results as a run recorded them, secret ones aside."""
    kept = {name: value for name, value in variables.items() if name not in NUMERIC}
    return kept | {name: value for name, value in recorded.items() if value != MASK}


def worth_recording(variables: Mapping[str, str], pass_env: Iterable[str]) -> dict[str, str]:
    """Those of them that can change a result: numeric settings, and what was passed on."""
    names = NUMERIC | set(pass_env)
    return {name: value for name, value in sorted(variables.items()) if name in names}
