"""`anchored demo [DIR]`: the sample training repo on real data, and the whole story on it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from anchored.cli import console
from anchored.errors import AnchoredError, WrongUse

FOLDER = "anchored-demo"


def run(arguments: Namespace) -> int:
    """Builds the sample repo and runs two experiments on it, saying each command first."""
    home = Path(arguments.folder or FOLDER).resolve()
    if home.exists() and any(home.iterdir() if home.is_dir() else [home]):
        raise WrongUse(f"{home} is there already", hint="name an empty folder: anchored demo DIR")
    # The sample's training runs in the environment that Anchored itself is installed in.
    scripts = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
    story = Story(home / "enso")
    story.tell("The sample: forecast El Niño three months ahead from NOAA's sea temperatures.")
    story.build()
    story.tell("First experiment, on the data as they stood at the end of 1999.")
    story.anchored("run", "experiment_v1")
    story.tell("New data arrive, as in real life: the years to 2010. Second experiment.")
    story.shell("python", "fetch.py")
    story.anchored("run", "experiment_v2")
    story.tell("Both are facts now: one commit each, which holds code, data and model pointers.")
    story.anchored("list")
    story.anchored("show", "experiment_v1")
    story.shell("git", "log", "--oneline", "--graph", "--decorate")
    story.tell("Why do the two differ?")
    story.anchored("diff", "experiment_v1", "experiment_v2")
    story.tell("Months later, DVC's cache long gone: is the first result still true?")
    shutil.rmtree(story.root / ".dvc" / "cache")
    story.anchored("reproduce", "experiment_v1")
    story.tell("And can every run still be reproduced?")
    story.anchored("audit")
    story.tell(f"It is all in {home}. To look around:")
    story.say(f"cd {shlex.quote(str(story.root))}")
    story.say("mlflow ui --backend-store-uri sqlite:///mlflow.db    # params, metrics, plots")
    story.say("prefect server start                                 # flow runs, lineage tables")
    return 0


class Story:
    """A training repo in the making, and the commands that a person would type in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._console = console.err()

    def build(self) -> None:
        """The sample as a Git and DVC repository with both remotes beside it."""
        code, data = sample_parts()
        shutil.copytree(code, self.root, ignore=shutil.ignore_patterns("__pycache__"))
        (self.root / "archive").mkdir()
        shutil.copy(data, self.root / "archive")
        self.shell("git", "init", "--quiet", "--initial-branch=main")
        self.shell("git", "init", "--quiet", "--bare", "../origin.git")
        self.shell("git", "remote", "add", "origin", "../origin.git")
        # A machine without a Git identity can run the demo too.
        self.shell("git", "config", "user.name", "Anchored Demo")
        self.shell("git", "config", "user.email", "demo@localhost")
        self.shell("python", "fetch.py", "--through", "1999")
        self.anchored("init", "--remote", "../storage")
        self.shell("git", "add", "--all")
        self.shell("git", "commit", "--quiet", "--message", "Forecast El Niño")
        self.shell("git", "push", "--quiet", "--set-upstream", "origin", "main")

    def tell(self, text: str) -> None:
        """A sentence of the story."""
        self._console.print(f"\n[bold]{text}[/]")

    def say(self, line: str) -> None:
        """A command, for the reader to type."""
        self._console.print(f"  {line}", markup=False)

    def shell(self, *command: str) -> None:
        """Runs a command in the repo. Raises `AnchoredError` where it fails."""
        self._console.print(f"[dim]$[/] {shlex.join(command)}")
        done = subprocess.run(command, cwd=self.root, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise AnchoredError(f"`{shlex.join(command)}` failed with status {done.returncode}")

    def anchored(self, *arguments: str) -> None:
        """Runs one of our own commands in the repo, in this process."""
        from anchored.cli.main import main

        self._console.print(f"[dim]$[/] anchored {shlex.join(arguments)}")
        before = Path.cwd()
        os.chdir(self.root)
        try:
            code = main(arguments)
        finally:
            os.chdir(before)
        if code:
            raise AnchoredError(f"`anchored {shlex.join(arguments)}` ended with exit code {code}")


def sample_parts() -> tuple[Path, Path]:
    """The sample's code and its raw data: in the wheel, or in a checkout of the project."""
    packaged = Path(__file__).parent.parent / "sample"
    if packaged.is_dir():
        return packaged / "enso", packaged / "nino_regions.dat"
    checkout = Path(__file__).parents[3]
    return checkout / "examples" / "enso", checkout / "data" / "nino_regions.dat"
