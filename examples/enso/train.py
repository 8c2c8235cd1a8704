"""Forecast the Nino 3.4 anomaly some months ahead, and say honestly how good the forecast is.

    python train.py --lags 6 --lead 3 --seed 42

Reads `data/nino_sst.nc` (predictors) and `data/nino34_index.csv` (what is forecast). Writes
`models/model.joblib`, `metrics.json`, `predictions.csv` and `plots/*.png`; the same inputs and
arguments give the same bytes.

Time is never mixed. The last fifth of the years is the test period. Training uses only months
before it, for its targets too, so the last `lead` forecasts before the test period are dropped.
Scaling, the ridge penalty and the damped baseline are fitted on the training part alone.
"""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import xarray as xr
from sklearn.linear_model import Ridge
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import figures

ALPHAS = np.logspace(-1, 4, 11)
TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Cases:
    """Forecast cases, one a row, indexed by the month in which the forecast is issued.

    `x` holds the predictors, `y` the anomaly `lead` months later (K), `now` that of the issue
    month (K), which is what persistence forecasts, and `target` the month that is forecast.
    """

    x: pd.DataFrame
    y: pd.Series
    now: pd.Series
    target: pd.DatetimeIndex

    def __getitem__(self, rows: np.ndarray) -> "Cases":
        """Return the cases that the boolean mask or the positions `rows` choose."""
        return Cases(self.x.iloc[rows], self.y.iloc[rows], self.now.iloc[rows], self.target[rows])


def read_inputs() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the regions' anomalies (K; month by region) and the index, on the same months."""
    with xr.open_dataset("data/nino_sst.nc", engine="scipy") as dataset:
        regions = dataset["anomaly"].to_pandas()
    index = pd.read_csv("data/nino34_index.csv", parse_dates=["date"], index_col="date")
    if not np.array_equal(regions.index, index.index):
        message = "error: the two inputs differ in their months; run `python fetch.py`"
        raise SystemExit(message)
    return regions, index


def make_cases(regions: pd.DataFrame, index: pd.Series, *, lags: int, lead: int) -> Cases:
    """Return one case for each month with `lags` months behind it and one `lead` months ahead.

    Predictors are each region's anomalies of the issue month and the `lags` - 1 before it, the
    season of the target month (sine and cosine of the year's cycle), and the products of both:
    how well ENSO remembers itself depends on the season (Webster and Yang, 1992, QJRMS 118).
    """
    lagged = pd.concat(
        {f"{region}_lag{k}": regions[region].shift(k) for region in regions for k in range(lags)},
        axis=1,
    )
    target = regions.index + pd.DateOffset(months=lead)
    angle = 2 * np.pi * target.month.to_numpy() / 12
    season = pd.DataFrame({"sin": np.sin(angle), "cos": np.cos(angle)}, index=regions.index)
    products = [lagged.mul(season[s], axis=0).add_suffix(f":{s}") for s in season]
    cases = Cases(pd.concat([lagged, season, *products], axis=1), index.shift(-lead), index, target)
    return cases[(cases.x.notna().all(axis=1) & cases.y.notna()).to_numpy()]


def split(cases: Cases, months: pd.DatetimeIndex) -> tuple[Cases, Cases]:
    """Return training cases, all verified before the test years, and cases issued within them."""
    years = months[-1].year - months[0].year + 1
    start = pd.Timestamp(months[-1].year + 1 - round(years * TEST_FRACTION), 1, 1)
    return cases[cases.target < start], cases[cases.x.index >= start]


def rmse(error: np.ndarray | pd.Series) -> float:
    """Return the root of the mean squared error, in the error's unit."""
    return float(np.sqrt(np.mean(np.square(error))))


def fit(train: Cases, *, lead: int) -> tuple[Pipeline, list[float]]:
    """Return the pipeline, fitted with the best of `ALPHAS`, and each one's validated RMSE (K).

    Each fold is trained on the months before it, with the same gap as the final split.
    """
    folds = list(TimeSeriesSplit(n_splits=5, gap=lead).split(train.x))

    def pipeline(alpha: float) -> Pipeline:
        return make_pipeline(StandardScaler(), Ridge(alpha=float(alpha)))

    def fold_errors(alpha: float) -> np.ndarray:
        parts = [(train[past], train[future]) for past, future in folds]
        return np.concatenate([b.y - pipeline(alpha).fit(a.x, a.y).predict(b.x) for a, b in parts])

    scores = [rmse(fold_errors(alpha)) for alpha in ALPHAS]
    return pipeline(ALPHAS[np.argmin(scores)]).fit(train.x, train.y), scores


def forecast(model: Pipeline, train: Cases, test: Cases) -> pd.DataFrame:
    """Return observation, forecast and both baselines (K) for each month of the test period.

    Persistence keeps the issue month's anomaly. Damped persistence multiplies it by the factor
    that fits the training part best.
    """
    damping = float(train.now @ train.y / (train.now @ train.now))
    return pd.DataFrame(
        {
            "issued": test.x.index,
            "target": test.target,
            "observed": test.y.to_numpy(),
            "forecast": model.predict(test.x),
            "persistence": test.now.to_numpy(),
            "damped_persistence": damping * test.now.to_numpy(),
        }
    )


def skill(error: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return 1 - MSE / MSE of the reference over the last axis (Murphy, 1988, MWR 116).

    1 is perfect, 0 no better than the reference, negative worse.
    """
    return 1 - np.mean(np.square(error), axis=-1) / np.mean(np.square(reference), axis=-1)


def skill_interval(error: np.ndarray, reference: np.ndarray, *, seed: int) -> tuple[float, float]:
    """Return the 5th and 95th percentile of the skill, by a moving-block bootstrap.

    Blocks of 12 months keep the errors' memory (Kuensch, 1989, Ann. Stat. 17); 2,000 resamples.
    """
    n, block = len(error), min(12, len(error))
    starts = np.random.default_rng(seed).integers(0, n - block + 1, (2000, -(-n // block)))
    rows = (starts[..., None] + np.arange(block)).reshape(2000, -1)[:, :n]
    low, high = np.quantile(skill(error[rows], reference[rows]), [0.05, 0.95])
    return float(low), float(high)


def evaluate(model: Pipeline, train: Cases, table: pd.DataFrame, *, seed: int) -> dict[str, float]:
    """Return the metrics: RMSE in K, everything else without unit."""
    columns = ["observed", "forecast", "persistence", "damped_persistence"]
    observed, *forecasts = table[columns].to_numpy().T
    error, persistence, damped = (values - observed for values in forecasts)
    low, high = skill_interval(error, persistence, seed=seed)
    return {
        "test_r2": float(skill(error, observed - observed.mean())),
        "test_rmse": rmse(error),
        "test_correlation": float(np.corrcoef(forecasts[0], observed)[0, 1]),
        "persistence_rmse": rmse(persistence),
        "damped_persistence_rmse": rmse(damped),
        "skill_over_persistence": float(skill(error, persistence)),
        "skill_over_persistence_p05": low,
        "skill_over_persistence_p95": high,
        "skill_over_damped_persistence": float(skill(error, damped)),
        "train_rmse": rmse(model.predict(train.x) - train.y),
        "ridge_alpha": model[-1].alpha,
        "n_train": len(train.y),
        "n_test": len(table),
    }


def log_steps(scores: list[float]) -> None:
    """Log the search for the penalty to MLflow, one step for each candidate.

    `start_run` joins the run that MLFLOW_RUN_ID names, if there is one.
    """
    import mlflow  # takes a second, and without tracking nobody needs it

    with mlflow.start_run():
        for step, (alpha, score) in enumerate(zip(ALPHAS, scores, strict=True)):
            best = min(scores[: step + 1])
            values = {"cv_alpha": float(alpha), "cv_rmse": score, "cv_best_rmse": best}
            mlflow.log_metrics(values, step=step)


def main() -> None:
    """Train, evaluate and write everything, as the arguments say."""
    parser = argparse.ArgumentParser(description="Forecast the Nino 3.4 anomaly.")
    parser.add_argument("--lags", type=int, default=6, help="months of predictors (default 6)")
    parser.add_argument("--lead", type=int, default=3, help="months ahead (default 3)")
    parser.add_argument("--seed", type=int, default=42, help="for the bootstrap (default 42)")
    args = parser.parse_args()
    if args.lags < 1 or args.lead < 1:
        parser.error("--lags and --lead must be at least 1")

    regions, index = read_inputs()
    cases = make_cases(regions, index["anomaly"], lags=args.lags, lead=args.lead)
    train, test = split(cases, regions.index)
    # The number of BLAS threads decides the order of sums, and with it the last digits.
    with threadpool_limits(limits=1):
        model, scores = fit(train, lead=args.lead)
        table = forecast(model, train, test)
        metrics = evaluate(model, train, table, seed=args.seed)

    for folder in ("models", "plots"):
        Path(folder).mkdir(exist_ok=True)
    joblib.dump(model, "models/model.joblib")
    Path("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    table.to_csv("predictions.csv", index=False, float_format="%.6f", lineterminator="\n")
    figures.draw_all(table, index["anomaly_3mo"], metrics, cv_rmse=min(scores), lead=args.lead)

    # Without this line MLflow would make itself a database here when nobody asked for tracking.
    if "MLFLOW_TRACKING_URI" in os.environ:
        log_steps(scores)
    for name, value in metrics.items():
        print(f"{name:30} {value:.4g}")


if __name__ == "__main__":
    main()
