"""The unmodified W&B SDK, told to speak to the stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb

from tests.services.environment import clean_env
from tests.services.wandb_standin import WandbStandin


@dataclass(frozen=True)
class Client:
    """The SDK in this process and in others, on a project of its own; `url` may be a proxy's."""

    server: WandbStandin
    folder: Path
    project: str
    url: str

    def init(
        self,
        run_id: str,
        *,
        mode: str = "online",
        changed: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """`wandb.init` with the settings `changed`."""
        return wandb.init(
            mode=mode, entity=self.server.team, project=self.project, id=run_id,
            dir=self.folder, settings=self.settings(**changed or {}), **kwargs,
        )  # fmt: skip

    def settings(self, **changes: Any) -> wandb.Settings:
        known = {
            "base_url": self.url, "api_key": self.server.api_key,
            "silent": True, "console": "off", "x_disable_stats": True,
        }  # fmt: skip
        return wandb.Settings(**known | changes)

    def api(self, *, entity: str | None = None, api_key: str | None = None) -> wandb.Api:
        overrides = {"base_url": self.url} | ({"entity": entity} if entity else {})
        return wandb.Api(overrides=overrides, api_key=api_key or self.server.api_key, timeout=10)

    def env(self, **changes: str) -> dict[str, str]:
        """The environment of another process that speaks to the same server."""
        return clean_env(
            Path.home(), WANDB_BASE_URL=self.url, WANDB_API_KEY=self.server.api_key,
            WANDB_DIR=str(self.folder), **changes,
        )  # fmt: skip

    @property
    def path(self) -> str:
        return f"{self.server.team}/{self.project}"

    def run(self, run_id: str) -> Any:
        """As somebody reads it who has not read anything yet."""
        return self.api().run(f"{self.path}/{run_id}")
