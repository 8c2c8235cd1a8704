"""Evaluate a model that was trained before on the data as they are now.

    python evaluate.py

Reads `models/model.joblib` and both inputs, and writes `metrics.json` with the RMSE over the test
period of today's data. `anchored retrain` runs it for the new model and for the champion: numbers
from different test periods cannot be compared. The months that either model was fitted on end
before that test period begins, as long as data are only appended.
"""

import json
import os
from pathlib import Path

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from train import make_cases, read_inputs, rmse, split


def main() -> None:
    """Evaluate the model with the lags and the lead that it was trained with."""
    params = json.loads(Path(os.environ["ANCHORED_PARAMS"]).read_text(encoding="utf-8"))
    regions, index = read_inputs()
    cases = make_cases(regions, index["anomaly"], lags=params["lags"], lead=params["lead"])
    _, test = split(cases, regions.index)
    model = joblib.load("models/model.joblib")
    with threadpool_limits(limits=1):
        error = np.asarray(model.predict(test.x) - test.y)
    metrics = {"test_rmse": rmse(error), "n_test": len(error)}
    Path("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(f"test_rmse {metrics['test_rmse']:.4f} K over {metrics['n_test']} months")


if __name__ == "__main__":
    main()
