"""Prefect's server as the local stack has it: for its own pages and for programs.

`prefect server start` answers whoever asks, by any name (Prefect 3.8.8). What it would serve, with
its services and its UI, is served here behind `OwnPages`. Its settings come from the environment.
"""

from __future__ import annotations

import os


def main() -> None:
    """Serves until it is told to stop."""
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    from anchored.system.own_pages import OwnPages

    settings = get_current_settings().server
    app = create_app(final=True)
    # From here on, what is written is the stack's own; before, the UI, beside Prefect's code.
    os.umask(0o077)
    uvicorn.run(
        OwnPages(app, settings.api.port),
        host=settings.api.host,
        port=settings.api.port,
        log_level=settings.logging_level.lower(),
        lifespan="on",
    )


if __name__ == "__main__":
    main()
