"""Takes the screenshots that the README and the pages in docs/ show, of the sample.

    python docs/images/take.py [FOLDER]    # an empty one; its path is seen nowhere

Needs Debian's chromium. The sample's story is told there first, on a local stack of its own, which
takes two minutes; in a folder where it was told already, the pages are only looked at again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))

from anchored.cli.demo_command import Story  # noqa: E402
from tests.services.browser import new_page, open_browser  # noqa: E402
from tests.services.environment import clean_env  # noqa: E402

IMAGES = Path(__file__).parent
SETTLED = 4_000  # milliseconds for a graph that is drawn, and for what slides in


@dataclass(frozen=True)
class Shot:
    """A page, what it shows once it is there, and how much of it is kept, in pixels.

    The last of what it shows is scrolled to.
    """

    name: str
    url: str
    shows: tuple[str, ...]
    height: int
    width: int = 1280


def main() -> None:
    """Tells the story where it is not told yet, and takes the pictures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/anchored").resolve()
    home = folder / "home"
    told = home.exists()
    home.mkdir(parents=True, exist_ok=True)
    kept = clean_env(home)
    os.environ.clear()
    os.environ.update(kept)
    story = Story(folder / "enso")
    if not told:
        story.build()
    story.anchored("up")
    try:
        if not told:
            story.anchored("run", "experiment_v1")
            story.anchored("promote", "experiment_v1")
            story.anchored("retrain", "--name", "experiment_v2")
            story.anchored("reproduce", "experiment_v1")
        shots = [*of_prefect(story), *of_tracker(story)]
        login = logged_in(story)
        with open_browser(home) as browser:
            for shot in shots:
                take(browser, shot, login)
    finally:
        story.anchored("down")


def of_prefect(story: Story) -> list[Shot]:
    """The flow run of the retrain, and what was published there and by the reproduction."""
    base = answer(story, "status")["prefect"]
    flow_run = answer(story, "show", "experiment_v2")["prefect"]["flow_run_id"]
    login = httpx.BasicAuth(*key_of(story).split(":"))
    found = httpx.post(f"{base}/api/artifacts/filter", json={}, timeout=60, auth=login).json()

    def artifact(key: str, *, flow_run: str = "") -> str:
        ids = [
            entry["id"]
            for entry in found
            if entry["key"] == key and entry["flow_run_id"].startswith(flow_run)
        ]
        return f"{base}/artifacts/artifact/{ids[0]}"

    lineage = artifact("lineage-sst-enso", flow_run=flow_run)
    plot = artifact("plot-sst-enso-plots-timeseries-png", flow_run=flow_run)
    gate, verdict = artifact("gate-sst-enso"), artifact("verdict-sst-enso")
    return [
        Shot(
            "prefect-retrain", f"{base}/runs/flow-run/{flow_run}", ("Promoted", "732 months"), 926
        ),
        Shot("prefect-lineage", lineage, ("Lineage of run", "source commit"), 900),
        Shot("prefect-gate", gate, ("promoted", "model version"), 720),
        Shot("prefect-verdict", verdict, ("identical", "metric test_rmse"), 720, 1500),
        Shot("prefect-plot", plot, ("timeseries.png",), 720),
    ]


def of_tracker(story: Story) -> list[Shot]:
    """The run that the retrain made, and the version of the model."""
    run = answer(story, "show", "experiment_v2")
    base, _, _ = run["tracker"]["url"].partition("/#/")
    version = f"{base}/#/models/sst_enso_predictor/versions/2"
    return [
        Shot("mlflow-run", run["tracker"]["url"], ("git_commit", "sst_enso_predictor"), 1100),
        Shot("mlflow-model", version, ("champion", "git_repo_url"), 680),
    ]


def key_of(story: Story) -> str:
    """What the stack's Prefect server asks for."""
    return Path(answer(story, "status")["key"]).read_text().strip()


def logged_in(story: Story) -> str:
    """A script that leaves in a browser what Prefect's form for the login does (3.8.8)."""
    return f'localStorage.setItem("prefect-password", btoa("{key_of(story)}"))'


def answer(story: Story, *command: str) -> Any:
    """What a command of ours says with `--json`."""
    done = subprocess.run(
        [sys.executable, "-m", "anchored", *command, "--json"],
        cwd=story.root, check=True, capture_output=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def take(browser: Browser, shot: Shot, login: str) -> None:
    """Waits for the page and keeps it, in 256 colours, which these pages do not have."""
    with new_page(browser, width=shot.width, height=shot.height) as page:
        page.add_init_script(login)
        page.goto(shot.url)
        for text in shot.shows:
            page.get_by_text(text).filter(visible=True).first.wait_for()
        page.get_by_text(shot.shows[-1]).first.scroll_into_view_if_needed()
        page.wait_for_timeout(SETTLED)
        image = Image.open(BytesIO(page.screenshot()))
    file = IMAGES / f"{shot.name}.png"
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
