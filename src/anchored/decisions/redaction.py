"""No secret leaves the process: URLs without credentials, text without known secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

MASK = "***"

# user:password@ or token@ of any URL in running text; an e-mail address has no scheme before it.
_USERINFO = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@'\"]+@")
# An scp-like address (git@host:path) has a user that is part of the address, not a secret.
_SECRET_NAME = re.compile(
    r"(TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|_KEY$|AUTH)",
    re.IGNORECASE,
)
_SECRET_QUERY = re.compile(r"(?i)([?&][^=&\s]*(?:token|secret|passw|key|sig)[^=&\s]*=)[^&\s'\"]+")


def url_without_credentials(url: str) -> str:
    """The URL with user, password and secret-looking query values taken out.

    The user of an SSH address stays: `ssh://git@host/x` does not work without it.
    """
    if "://" in url and "@" in (netloc := urlsplit(url).netloc):
        userinfo, host = netloc.rsplit("@", 1)
        if not (url.split("://", maxsplit=1)[0].endswith("ssh") and ":" not in userinfo):
            url = url.replace(f"//{netloc}", f"//{host}", 1)
    return _SECRET_QUERY.sub(rf"\1{MASK}", url)


def is_secret_name(name: str) -> bool:
    """Whether an environment variable of this name is taken for a secret."""
    return _SECRET_NAME.search(name) is not None


def recorded_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment variables as they may be recorded: secret ones by name only."""
    return {
        name: MASK if is_secret_name(name) else redact(value) for name, value in variables.items()
    }


def secret_values(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Values that must never be written, longest first so that none survives inside another.

    Values of fewer than eight characters are left out: masking `1` or `true` would eat the text.
    """
    values = {v for name, v in variables.items() if is_secret_name(name) and len(v) >= 8}
    return tuple(sorted(values, key=len, reverse=True))


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with credentials of URLs and the given secrets masked."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    if "://" in text:
        text = _USERINFO.sub(_mask_userinfo, text)
    return _SECRET_QUERY.sub(rf"\1{MASK}", text) if "=" in text else text


def _mask_userinfo(match: re.Match[str]) -> str:
    scheme = match["scheme"]
    userinfo = match[0][len(scheme) : -1]
    if scheme.endswith("ssh://") and ":" not in userinfo:
        return match[0]
    return f"{scheme}{MASK}@"
