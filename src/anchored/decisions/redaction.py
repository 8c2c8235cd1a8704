"""No secret leaves the process: URLs without credentials, text without known secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MASK = "***"

# user:password@ or token@ of any URL in running text; an e-mail address has no scheme before it.
# Passwords come with unescaped `@` and `/`; digits and a slash after the colon are a port.
# Lengths are bounded: training may print lines that would cost quadratic time.
_USERINFO = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]{0,30}://)"
    r"(?P<userinfo>[^/\s]{1,4096}|[^/\s:@]{0,128}:(?!\d+/)[^\s@]{0,4096})@"
)
_SECRET_NAME = re.compile(
    r"TOKEN(?!IZERS)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|_KEY$"
    r"|_PASS$|_PWD$|AUTH(?!OR(?!I[ZS]))",
    re.IGNORECASE,
)
_SECRET_QUERY = re.compile(
    r"(?i)([?&#][^=&\s]{0,64}(?:token|secret|passw|pwd|key|sig|credential)[^=&\s]{0,64}=)[^&\s'\"]+"
)


def url_without_credentials(url: str) -> str:
    """The URL with user, password and secret-looking query values taken out.

    The user of an SSH address stays: `ssh://git@host/x` does not work without it. So does that of
    an scp-like address (`git@host:path`).
    """
    return _SECRET_QUERY.sub(rf"\1{MASK}", url_without_login(url))


def url_without_login(url: str) -> str:
    """The URL with user and password taken out, but for the user of an SSH address."""
    return _USERINFO.sub(lambda match: _kept(match, ""), url)


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
        text = _USERINFO.sub(lambda match: _kept(match, f"{MASK}@"), text)
    return _SECRET_QUERY.sub(rf"\1{MASK}", text) if "=" in text else text


def _kept(match: re.Match[str], instead: str) -> str:
    """The scheme, and of an SSH address the user; `instead` of any other user and password."""
    user = match["userinfo"].partition(":")[0]
    return match["scheme"] + (f"{user}@" if match["scheme"].endswith("ssh://") else instead)
