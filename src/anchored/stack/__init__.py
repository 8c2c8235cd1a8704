"""The local stack of a training repo: Prefect, the tracker's pages, a worker; in the background.

All of it belongs to the repo: data, logs and record lie in its `.dvc/anchored/`, and another repo
has another stack. Nothing of the user's own Prefect configuration is used or changed.
"""
