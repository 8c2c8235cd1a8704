"""No secret leaves the process: URLs without credentials, text without secrets that can be known.

A secret is known by the name of the variable that holds it, or by its shape: the prefixes that
services give to their tokens, and values that only a generator makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

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
    r"|_PASS$|_PWD$|AUTH(?!OR(?!I[ZS]))|(?:^|_)PAT$|WEBHOOK|DOCKER_CONFIG_JSON|(?:^|_)DSN$"
    r"|CONN(?:ECTION)?_?STR(?:ING)?$|(?:^|_)JWT$|BEARER|COOKIE|(?:^|_)SAS$",
    re.IGNORECASE,
)
# Of GitHub, GitLab, Slack, OpenAI and Anthropic, AWS, Google, Hugging Face, npm, PyPI, SendGrid;
# JSON web tokens, private keys, and addresses that are themselves the key.
_SHAPE = re.compile(
    r"(?<![A-Za-z0-9_-])(?:gh[opusr]_[A-Za-z0-9]{16,255}|github_pat_[A-Za-z0-9_]{16,255}"
    r"|gl(?:pat|dt|rt|ptt)-[\w-]{16,255}|xox[a-z]-[\w-]{8,255}|xapp-[\w-]{8,255}"
    r"|sk-[\w-]{16,255}|(?:AKIA|ASIA)[A-Z0-9]{12,32}(?![A-Za-z0-9])|AIza[\w-]{30,60}"
    r"|hf_[A-Za-z0-9]{16,64}|npm_[A-Za-z0-9]{30,64}|pypi-[\w-]{32,512}|SG\.[\w-]{16,64}\.[\w-]{16,64}"
    r"|eyJ[\w-]{6,4096}\.[\w-]{8,8192}(?:\.[\w-]{0,4096})?)"
    r"|(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/-]{8,255}"
    r"|(?<=/api/webhooks/)\d{5,30}/[\w-]{16,255}"
    r"|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----(?:[\w+/=\s,:-]{0,16384}?-----END [A-Z ]{0,32}-----)?"
)
_LITTLE = frozenset({"true", "false", "none", "null", "auto", "basic"})  # values, and no secrets
SHORTEST, SHORT = 4, 8  # characters of a secret; a short one is masked as a word of its own
_RUN = re.compile(r"[A-Za-z0-9+]{20,}")
_FACT = re.compile(r"SHA|HASH|COMMIT|DIGEST|MD5|REVISION|CHECKSUM|_ID$", re.IGNORECASE)
TURNS = 0.4  # of the characters of a generated value, those of another kind than the one before
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
        name: MASK if is_secret_name(name) or _is_generated(name, value) else redact(value)
        for name, value in variables.items()
    }


def _is_generated(name: str, value: str) -> bool:
    """Whether a value looks like one that only a generator makes, and its name says no hash.

    Words, numbers and paths do not mix capitals, small letters and digits as such a value does; one
    of hexadecimal digits is long.
    """
    if _FACT.search(name):
        return False
    return any(_is_random(run) for run in _RUN.findall(value))


def _is_random(run: str) -> bool:
    if re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", run):
        return len(run) >= 32 and not run.isdigit() and not run.isalpha()
    kinds = [
        "0" if c.isdigit() else "A" if c.isupper() else "a" if c.islower() else "+" for c in run
    ]
    turns = sum(one != other for one, other in pairwise(kinds))
    return {"0", "A", "a"} <= set(kinds) and turns > TURNS * len(run)


def secret_values(variables: Mapping[str, str], passed: Iterable[str] = ()) -> tuple[str, ...]:
    """Values that must never be written, longest first so that none survives inside another.

    They are those of variables with a secret's name, the passwords in all URLs, and what looks
    generated in the variables that are `passed` on. What masking would eat the text by is left out:
    values of fewer than four characters, numbers of fewer than six digits, `true` and the like.
    """
    values = {value for name, value in variables.items() if is_secret_name(name)}
    for name in passed:
        if name in variables and _is_generated(name, variables[name]):
            values |= {run for run in _RUN.findall(variables[name]) if _is_random(run)}
    for value in variables.values():
        for match in _USERINFO.finditer(value):
            values.add(match["userinfo"].partition(":")[2])
    values |= {line.strip() for value in values if "\n" in value for line in value.splitlines()}
    return tuple(sorted(filter(_can_be_masked, values), key=len, reverse=True))


def _can_be_masked(value: str) -> bool:
    is_number = value.isdigit() and len(value) < 6
    return len(value) >= SHORTEST and not is_number and value.lower() not in _LITTLE


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with credentials of URLs, what has a secret's shape and the given secrets masked."""
    for secret in secrets:
        if len(secret) >= SHORT:
            text = text.replace(secret, MASK)
        elif secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    text = _SHAPE.sub(MASK, text)
    if "://" in text:
        text = _USERINFO.sub(lambda match: _kept(match, f"{MASK}@"), text)
    return _SECRET_QUERY.sub(rf"\1{MASK}", text) if "=" in text else text


def _kept(match: re.Match[str], instead: str) -> str:
    """The scheme, and of an SSH address the user; `instead` of any other user and password."""
    user = match["userinfo"].partition(":")[0]
    return match["scheme"] + (f"{user}@" if match["scheme"].endswith("ssh://") else instead)
