"""No credential survives in a URL or a text, and what is no secret stays readable."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchored.decisions.redaction import (
    MASK,
    is_secret_name,
    recorded_variables,
    redact,
    secret_values,
    url_without_credentials,
)

SECRET = "hunter2Hunter2"

URLS = [
    f"https://user:{SECRET}@example.org/team/repo.git",
    f"https://{SECRET}@example.org/team/repo.git",
    f"https://oauth2:{SECRET}@example.org:8443/x.git",
    f"https://user:a@{SECRET}@example.org/x.git",
    f"https://user:a'{SECRET}@example.org/x.git",
    f'https://user:a"{SECRET}@example.org/x.git',
    f"https://user:a/{SECRET}@example.org/x.git",
    f"https://user:a?{SECRET}#@example.org/x.git",
    f"https://user:%2F{SECRET}%40@example.org/x.git",
    f"http://user:{SECRET}@[::1]:5000/",
    f"http://user:{SECRET}@[::1/",
    f"ssh://user:{SECRET}@example.org/x.git",
    f"git+ssh://user:{SECRET}@example.org/x.git",
    f"postgresql://user:{SECRET}@db.example.org:5432/mlflow?sslmode=require",
    f"postgresql+psycopg2://user:{SECRET}@db/mlflow",
    f"postgresql:///mlflow?user=me&password={SECRET}",
    f"mysql+pymysql://user:{SECRET}@db/mlflow",
    f"s3://bucket/key?AWSAccessKeyId=AK&Signature={SECRET}&Expires=1",
    f"https://b.s3.example.org/k?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}",
    f"https://b.s3.example.org/k?X-Amz-Security-Token={SECRET}",
    f"https://acc.blob.example.org/c?sv=1&sig={SECRET}",
    f"https://example.org/x?access_token={SECRET}&page=2",
    f"https://example.org/cb#access_token={SECRET}",
    f"https://example.org/simple?api_key={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_no_credential_survives_in_a_url(url: str) -> None:
    assert SECRET not in url_without_credentials(url)
    assert SECRET not in redact(url)
    assert SECRET not in redact(f"fatal: unable to access '{url}': 403, see \"{url}\"\n{url}")


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/@"), min_size=1)
)
def test_no_password_of_odd_characters_survives(password: str) -> None:
    secret = f"Sec{password}ret"
    for text in (f"https://u:{secret}@host/x", f"https://{secret}@host/x"):
        assert secret not in redact(f"cannot push to {text}: refused")
        assert url_without_credentials(text) == "https://host/x"


@pytest.mark.parametrize("url", [
    "https://example.org/team/repo.git",
    "https://example.org:8443/group/proj@v1.git",
    "git@example.org:team/repo.git",
    "ssh://git@example.org:2222/team/repo.git",
    "git+ssh://git@example.org/x.git",
    "s3://bucket/prefix",
    "/srv/git/repo@2.git",
    "../store",
    "sqlite:////home/me/mlflow.db",
])  # fmt: skip
def test_an_address_without_secrets_is_left_as_it_is(url: str) -> None:
    assert url_without_credentials(url) == url
    assert redact(f"see {url} now") == f"see {url} now"


def test_what_a_url_says_besides_its_secrets_stays() -> None:
    assert url_without_credentials(URLS[0]) == "https://example.org/team/repo.git"
    assert url_without_credentials(f"ssh://me:{SECRET}@host/x") == "ssh://me@host/x"
    assert redact(f"to https://u:{SECRET}@host/x by ada@example.org") == (
        f"to https://{MASK}@host/x by ada@example.org"
    )
    assert redact(f"https://h/x?token={SECRET}&page=2") == f"https://h/x?token={MASK}&page=2"


@pytest.mark.parametrize("name", [
    "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PGPASSWORD", "MYSQL_PWD", "DB_PASS", "API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS", "MLFLOW_TRACKING_PASSWORD", "WANDB_API_KEY",
    "AUTHORIZATION", "SSH_KEY_PASSPHRASE", "azure_storage_key", "NETRC_AUTH",
])  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", [
    "PATH", "PWD", "OLDPWD", "OMP_NUM_THREADS", "GIT_AUTHOR_NAME", "TOKENIZERS_PARALLELISM",
    "CUDA_VISIBLE_DEVICES", "PYTHONHASHSEED", "COMPASS",
])  # fmt: skip
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_secret_variables_are_recorded_by_name_only() -> None:
    variables = {"HF_TOKEN": SECRET, "URL": f"https://u:{SECRET}@h/x", "N": "1"}
    assert recorded_variables(variables) == {
        "HF_TOKEN": MASK, "URL": f"https://{MASK}@h/x", "N": "1",
    }  # fmt: skip


def test_known_secrets_are_masked_in_text_the_longest_first() -> None:
    variables = {"A_TOKEN": "12345678", "B_TOKEN": "1234567890", "C_TOKEN": "true", "D": "z" * 9}
    secrets = secret_values(variables)
    assert secrets == ("1234567890", "12345678")
    assert redact("x 1234567890 y 12345678 true", secrets) == f"x {MASK} y {MASK} true"


@pytest.mark.parametrize("line", ["a." * 30_000, "?" * 60_000, "a://b:" * 10_000, "x@" * 30_000])
def test_an_endless_line_is_redacted_in_no_time(line: str) -> None:
    begun = time.process_time()
    redact(f"https://h/?a=b {line}")
    assert time.process_time() - begun < 2
