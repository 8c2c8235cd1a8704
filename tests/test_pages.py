"""What people see of a run: Prefect's and MLflow's own pages, in a real browser."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import ConsoleMessage, Page, expect

from tests.repos import SCRIPT, Repo, result_of
from tests.services.browser import PATIENCE
from tests.services.mlflow_server import MlflowServer
from tests.services.prefect_server import PrefectServer

FETCH = """\
import pathlib
pathlib.Path("data").mkdir(exist_ok=True)
pathlib.Path("data/numbers.csv").write_text("1\\n2\\n3\\n")
print("fetched three numbers")
"""
PLOTTING = """\
svg = '<svg xmlns="http://www.w3.org/2000/svg" width="50" height="40"><circle r="30"/></svg>'
pathlib.Path("plots").mkdir()
pathlib.Path("plots/loss.svg").write_text(svg)
"""
CONFIG = """\
[tracker]
uri = "{uri}"

[retrain]
metric = "total"
goal = "max"
registered_model = "pages_model"

[train.params]
"""
STEPS = (
    "refresh data", "look for an equal run", "open run", "version data", "dvc push data",
    "dvc fetch inputs", "train and log", "version model", "dvc push model", "git push run ref",
    "seal run", "judge", "promote", "look at folder",
)  # fmt: skip
# What Prefect 3.8 and MLflow 3.17 ask their own servers for in vain.
THEIR_OWN = (
    "/favicon.ico",
    "/ico/undefined.svg",
    "/mlflow/users/current",
    "/model-versions/get-artifact",  # the MLmodel of a model that is a plain file
)

# Prefect 3.8's graph of a flow run draws on for a moment after its page was left, where the
# browser is slow; the error is then in each of its frames.
GRAPH_LEFT = "Cannot read properties of null (reading 'position')"


def sees(page: Page, *texts: str) -> None:
    """Waits until the page shows each of the texts."""
    for text in texts:
        expect(page.get_by_text(text).filter(visible=True).first).to_be_visible(timeout=PATIENCE)


def cell(page: Page, what: str) -> str:
    """The second cell of the row that begins with `what`, once it is there."""
    row = page.get_by_role("row").filter(has=page.get_by_text(what, exact=True)).first
    return row.get_by_role("cell").nth(1).inner_text().strip()


def open_artifact(page: Page, run_page: str, key: str) -> None:
    """From the flow run's page by its tab of artifacts, as a person does."""
    if not page.url.startswith(run_page):
        page.go_back()
        page.wait_for_url(f"{run_page}**")
    page.get_by_text("Artifacts", exact=True).filter(visible=True).last.click()
    page.get_by_text(key, exact=True).filter(visible=True).first.click()
    page.wait_for_url("**/artifacts/artifact/*")


def test_pages_show_commit_hashes_artifacts_and_model_version(
    repo: Repo, prefect_server: PrefectServer, mlflow_server: MlflowServer, page: Page
) -> None:
    repo.write("fetch.py", FETCH)
    repo.configure("[data]", '[data]\nrefresh = "python fetch.py"')
    repo.configure('["report-*.txt"]', '["report-*.txt", "plots/*.svg"]')
    repo.configure("[train.params]\n", CONFIG.format(uri=mlflow_server.url))
    repo.script(SCRIPT + PLOTTING)
    command = ("retrain", "--name", "seen_by_all", "--json")
    retrained = result_of(repo.anchored(*command, **prefect_server.env))
    run = retrained["run"]
    assert not list(prefect_server.home.rglob("*.db")), "a server of the client's own"

    broken: list[str] = []
    page.context.on("weberror", lambda error: broken.extend(failures(str(error.error))))
    page.context.on("console", lambda message: broken.extend(complaints(message)))
    page = see_flow_run(page, prefect_server, run)
    see_tracker_run(page, run)
    see_model_version(page, run)
    assert page.url == retrained["version"]["url"]
    assert broken == []


def facts(run: dict[str, Any]) -> tuple[str, str, str]:
    """Commit, hash of the data, hash of the model."""
    return run["git"]["commit"], run["data"][0]["md5"], run["model"][0]["md5"]


def failures(error: str) -> list[str]:
    return [] if GRAPH_LEFT in error else [error]


def complaints(message: ConsoleMessage) -> list[str]:
    where = message.location.get("url", "").partition("?")[0]
    ours = message.type == "error" and not where.endswith(THEIR_OWN)
    return [f"{message.text} ({where})"] if ours else []


def see_flow_run(page: Page, server: PrefectServer, run: dict[str, Any]) -> Page:
    """Looks at the flow run and its artifacts; the tracker's page, by the link to it."""
    commit, data, model = facts(run)
    run_page = f"http://127.0.0.1:{server.port}/runs/flow-run/{run['prefect']['flow_run_id']}"
    page.goto(run_page)
    sees(page, "run:seen_by_all", f"commit:{commit[:12]}", f"data:{data[:12]}")
    sees(page, f"model:{model[:12]}", "Promoted", f"{len(STEPS)} Task runs")
    sees(page, "fetched three numbers", "total is 6")
    page.get_by_text("Task Runs", exact=True).click()
    sees(page, *STEPS)

    open_artifact(page, run_page, "lineage-sums")
    sees(page, "Lineage of run seen_by_all")
    assert cell(page, "commit") == commit
    assert cell(page, "data data/numbers.csv") == data
    assert cell(page, "model models/model.bin") == model
    open_artifact(page, run_page, "gate-sums")
    sees(page, "seen_by_all is promoted")
    assert cell(page, "decision") == "passed"
    assert cell(page, "model version") == "pages_model 1"
    open_artifact(page, run_page, "plot-sums-plots-loss-svg")
    sees(page, "plots/loss.svg of run seen_by_all")
    plot = page.locator("img[src*='get-artifact']")
    expect(plot).to_be_visible(timeout=PATIENCE)
    assert plot.evaluate("async image => (await image.decode(), image.naturalWidth)") == 50
    open_artifact(page, run_page, "tracker-sums")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="seen_by_all in MLflow").click()
    return opened.value


def see_tracker_run(page: Page, run: dict[str, Any]) -> None:
    """Looks at the tracker's run; ends on the page of the model version, by the link to it."""
    commit, data, model = facts(run)
    page.wait_for_url(run["tracker"]["url"])
    sees(page, "seen_by_all", "git_commit", commit, "dvc_data_md5", data, "dvc_model_md5", model)
    sees(page, "anchored.state", "sealed")
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("anchored", exact=True).first.click()
    page.get_by_text("run.json").click()
    sees(page, f'"commit": "{commit}"')
    page.get_by_role("tab", name="Overview").click()
    page.get_by_role("link", name="pages_model").click()


def see_model_version(page: Page, run: dict[str, Any]) -> None:
    commit, data, model = facts(run)
    sees(page, "Version 1", "champion")
    assert cell(page, "git_commit") == commit
    assert cell(page, "dvc_data_md5") == data
    assert cell(page, "dvc_model_md5") == model
