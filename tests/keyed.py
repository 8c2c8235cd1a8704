"""What the Prefect server of a local stack says to who has its key."""

from __future__ import annotations

import time
from typing import Any

import httpx


def asked(api: str, key: str, path: str, body: Any = None) -> Any:
    """The answer to a GET, or with a body to a POST; `key` is USER:PASSWORD.

    Its database, SQLite on a busy disk, may be locked for a moment: it answers 503 then, which its
    clients take for a reason to ask again.
    """
    user, _, password = key.partition(":")
    method = "GET" if body is None else "POST"
    for _ in range(40):
        answer = httpx.request(
            method, f"{api}/{path}", json=body, timeout=120, auth=(user, password)
        )
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(0.5)
    assert answer.is_success, answer.text
    return answer.json()
