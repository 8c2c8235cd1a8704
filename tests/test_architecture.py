"""The boundaries that the design draws hold, and what is shipped is what is meant to be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
HEAVY = ("prefect", "mlflow", "dvc", "git", "pydantic", "rich", "pandas", "sklearn", "numpy")
SOURCES = [file for folder in ("src", "flows", "tasks") for file in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["run", "--help"], []])
def test_the_command_line_loads_nothing_heavy_to_say_how_it_is_used(argv: list[str]) -> None:
    script = f"""
import json, sys
from anchored.cli.main import main
try:
    main({argv!r})
except SystemExit as ended:
    assert not ended.code, ended.code
print(json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert not set(HEAVY) & set(loaded)


def test_importing_the_core_loads_no_foreign_library() -> None:
    script = "import sys, anchored.cli.main, anchored.records, anchored.errors, anchored.ports\n"
    script += f"assert not [name for name in {HEAVY!r} if name in sys.modules]"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_imports_run_downwards() -> None:
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_every_file_can_be_read_in_one_sitting() -> None:
    assert len(SOURCES) > 40
    lengths = {file: len(file.read_text().splitlines()) for file in SOURCES}
    assert {str(f.relative_to(ROOT)): n for f, n in lengths.items() if n > 500} == {}


def test_nothing_in_the_core_prints_or_ends_the_process() -> None:
    for file in SOURCES:
        if "cli" in file.parts or "probe" in file.parts or file.name == "__main__.py":
            continue
        text = file.read_text()
        found = re.search(r"(?<![\w.])(print|input)\(|sys\.(exit|stdout|stderr)", text)
        assert found is None, f"{found} in {file}"


def test_the_wheel_holds_packages_deployments_and_sample_and_no_tests(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        entry_points = wheel.read(
            next(name for name in names if name.endswith("entry_points.txt"))
        ).decode()
    for source in SOURCES:
        assert str(source.relative_to(ROOT)).removeprefix("src/") in names
    assert "anchored/prefect.yaml" in names
    assert "anchored/sample/nino_regions.dat" in names
    for name in ("train.py", "anchored.toml"):
        assert f"anchored/sample/enso/{name}" in names
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"anchored", "flows", "tasks"}
    assert not [n for n in names if "test" in n or "__pycache__" in n or n.endswith((".db", ".nc"))]
    assert "anchored = anchored.cli.main:run_and_exit" in entry_points
