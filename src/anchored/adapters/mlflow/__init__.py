"""MLflow as the tracker: nobody else imports `mlflow`."""
