"""Loads a scikit-learn estimator from a file that joblib wrote; travels with a registered model.

MLflow reads pickles by `pickle.load`, which cannot read arrays as joblib writes them (seen with
MLflow 3.17.2). Runs wherever the model is served: needs joblib and MLflow, and not Anchored.
"""

import os
import sys


def _load_pyfunc(path):
    """For `mlflow.pyfunc.load_model`, which says where the file is."""
    import mlflow.sklearn

    return mlflow.sklearn._SklearnModelWrapper(_loaded(path))


def load(name):
    """For `mlflow.sklearn.load_model`, which unpickles a call of this.

    The file is in the folder above this module's own. MLflow has put that one on `sys.path`
    just now; an earlier copy of this module, which Python goes on using, may be gone.
    """
    for folder in sys.path:
        if os.path.isfile(os.path.join(folder, __name__ + ".py")):
            return _loaded(os.path.join(folder, os.pardir, name))
    raise FileNotFoundError(name)


def _loaded(path):
    import joblib

    # MLflow's own switch against models that may run code.
    if os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true").lower() in ("false", "0"):
        raise PermissionError("MLFLOW_ALLOW_PICKLE_DESERIALIZATION forbids to load this model")
    return joblib.load(path)
