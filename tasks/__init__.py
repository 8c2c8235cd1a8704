"""One Prefect task per step: open the repo, make one core call, log, publish, return a record."""
