"""Where W&B runs go, by configuration and environment: to a server, or into a folder."""

from __future__ import annotations

import configparser
import importlib.util
import netrc
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from anchored.adapters.wandb.names import trouble_with_project
from anchored.adapters.wandb.offline import OfflineRuns
from anchored.adapters.wandb.online import OnlineRuns
from anchored.adapters.wandb.runs import WandbRuns
from anchored.errors import ConfigError, NotReady

CLOUD = "https://api.wandb.ai"
# Whether a mode of the SDK sends runs to a server. We have been asked for runs, disabled or not.
MODES = {
    "online": True, "run": True, "shared": True,
    "offline": False, "dryrun": False, "disabled": False,
}  # fmt: skip


def runs_at(
    root: Path,
    variables: Mapping[str, str],
    *,
    project: str,
    entity: str | None,
    mode: str | None,
    base_url: str | None,
) -> WandbRuns:
    """The runs of a project; what the configuration leaves open the environment says.

    That is by the SDK's own variables and files. Raises `NotReady` where the SDK is not installed,
    and `ConfigError` for a project that W&B would not take.
    """
    if importlib.util.find_spec("wandb") is None:
        raise NotReady("the W&B SDK is not installed", hint="pip install 'anchored[wandb]'")
    if trouble := trouble_with_project(project):
        raise ConfigError(trouble, file="anchored.toml", key="experiment")
    place = resolved(variables, entity=entity, mode=mode, base_url=base_url)
    if place["mode"] == "online":
        return OnlineRuns(place["base_url"], project=project, entity=place["entity"])
    folder = Path(variables.get("WANDB_DIR") or root).expanduser().absolute()
    return OfflineRuns(folder, project=project, entity=place["entity"])


def resolved(
    variables: Mapping[str, str], *, entity: str | None, mode: str | None, base_url: str | None
) -> dict[str, str]:
    """`entity`, `mode` and `base_url`, with what the configuration leaves open filled in."""
    entity = entity or variables.get("WANDB_ENTITY") or _said("entity", variables)
    server = base_url or variables.get("WANDB_BASE_URL") or _said("base_url", variables) or CLOUD
    online = _is_online(mode or variables.get("WANDB_MODE", ""), server, variables)
    return {
        "entity": entity,
        "mode": "online" if online else "offline",
        "base_url": server.rstrip("/"),
    }


def _is_online(mode: str, server: str, variables: Mapping[str, str]) -> bool:
    if mode in MODES:
        return MODES[mode]
    return any(variables.get(f"WANDB_{name}") for name in ("API_KEY", "IDENTITY_TOKEN_FILE")) or (
        _has_login(urlsplit(server).hostname or "", variables)
    )


def _has_login(host: str, variables: Mapping[str, str]) -> bool:
    """Whether `wandb login` has left a key for a server."""
    home = Path(variables.get("HOME", "~")).expanduser()
    given = variables.get("NETRC")
    for file in [Path(given)] if given else [home / ".netrc", home / "_netrc"]:
        with suppress(OSError, netrc.NetrcParseError):
            if host in netrc.netrc(file).hosts:
                return True
    return False


def _said(key: str, variables: Mapping[str, str]) -> str:
    """What `wandb login` has written into the user's settings; empty for nothing."""
    folder = variables.get("WANDB_CONFIG_DIR") or Path(variables.get("HOME", "~"), ".config/wandb")
    settings = configparser.ConfigParser()
    with suppress(configparser.Error, UnicodeDecodeError):
        settings.read(Path(folder, "settings").expanduser())
    return settings.get("default", key, fallback="")
