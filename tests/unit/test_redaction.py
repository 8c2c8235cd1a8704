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
    "GH_PAT", "AZURE_DEVOPS_EXT_PAT", "SLACK_WEBHOOK_URL", "DOCKER_CONFIG_JSON", "NPM_TOKEN",
    "DOCKER_AUTH_CONFIG", "SENTRY_DSN", "PG_CONN_STR", "AZURE_STORAGE_CONNECTION_STRING", "CI_JOB_JWT",
    "AUTHORIZATION", "SSH_KEY_PASSPHRASE", "azure_storage_key", "NETRC_AUTH",
])  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", [
    "PATH", "PWD", "OLDPWD", "OMP_NUM_THREADS", "GIT_AUTHOR_NAME", "TOKENIZERS_PARALLELISM",
    "CUDA_VISIBLE_DEVICES", "PYTHONHASHSEED", "COMPASS", "PATIENCE", "DATA_PATH", "KUBECONFIG", "SASS",
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


SHAPED = [
    "ghp_" + "a1B2" * 9, "gho_" + "a1B2" * 9, "github_pat_" + "a1_B" * 10, "glpat-" + "aB-1_" * 4,
    "xoxb-1234567890-abcdef", "xoxp-1-2-3-abcdef", "sk-" + "a1B2" * 10, "sk-proj-" + "a-B_" * 8,
    "AKIA" + "ABCDEFGH12345678", "ASIA" + "ABCDEFGH12345678", "AIza" + "a1B-_" * 7, "hf_" + "aB1" * 11,
    "npm_" + "aB1" * 12, "pypi-" + "AgEIcHlwaS5vcmc" * 4, "eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAA==\n-----END OPENSSH PRIVATE KEY-----",
]  # fmt: skip


@pytest.mark.parametrize("secret", SHAPED)
def test_a_secret_is_known_by_its_shape_wherever_it_stands(secret: str) -> None:
    assert redact(f"got '{secret}', done") == f"got '{MASK}', done"
    assert redact(f"KEY={secret}\n") == f"KEY={MASK}\n"
    assert recorded_variables({"ANY": secret}) == {"ANY": MASK}


def test_addresses_that_are_keys_are_masked() -> None:
    for url in (
        "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXX",
        "https://discord.com/api/webhooks/123456789/abcdefghijklmnopqrst",
    ):
        said = redact(f"posting to {url}")
        assert said.startswith("posting to https://")
        assert url.rsplit("/", 1)[1] not in said


@pytest.mark.parametrize("value", [
    "0", "1e-5", "4096:8", ":4096:8", "0,1,2,3", "-1", "true", "info", "/data/Set-2/20240101T101010/x9Y",
    "s3://bucket/prefix/part-0001", "node-12.cluster-3.example.org", "resnet50imagenet1kv2",
    "MyLongExperimentVersion2024Final", "2024-01-01T00:00:00+00:00", "max_split_size_mb:512,garbage:0.8",
    "--xla_gpu_deterministic_ops=true", "de_DE.UTF-8", "3f2b8c1a-77de-4c1b-9f6e-0d2a4b6c8e10",
    "12345678901234567890123456789012345", "desk-lamp-and-task-runner-number-one", "a" * 64,
])  # fmt: skip
def test_settings_and_paths_stay_as_they_are(value: str) -> None:
    assert recorded_variables({"SETTING": value}) == {"SETTING": value}
    assert redact(f"x {value} y") == f"x {value} y"


@pytest.mark.parametrize("value", [
    "q7Zt2LmX9aPw4RkE8vBn3Cs", "9f86d081884c7d659a2feaa0c55ad015", "wJ4lrXUtn7EMIxK7MDe2GbPxRfiC9EXkMPl3KeY",
])  # fmt: skip
def test_what_only_a_generator_makes_is_no_setting(value: str) -> None:
    assert recorded_variables({"SETTING": value}) == {"SETTING": MASK}
    assert recorded_variables({"SETTING": f"user={value};"}) == {"SETTING": MASK}


def test_what_looks_generated_is_a_secret_of_the_variables_that_are_passed_on_alone() -> None:
    value = "q7Zt2LmX9aPw4RkE8vBn3Cs"
    assert secret_values({"SETTING": f"key:{value}"}, ["SETTING", "OTHER"]) == (value,)
    assert secret_values({"SETTING": value}) == ()


def test_a_hash_that_its_name_calls_one_is_recorded() -> None:
    commit = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
    assert recorded_variables({"GIT_COMMIT": commit}) == {"GIT_COMMIT": commit}


def test_short_secrets_are_masked_as_words_and_little_values_are_not() -> None:
    variables = {
        "PGPASSWORD": "s3cre7!", "A_TOKEN": "pass", "B_TOKEN": "12345", "C_TOKEN": "no",
        "D_TOKEN": "False", "E_TOKEN": "123456", "NAME": "value", "DB": "postgres://u:hidden@h/d",
    }  # fmt: skip
    secrets = secret_values(variables)
    assert secrets == ("s3cre7!", *sorted(("123456", "hidden"), key=secrets.index), "pass")
    said = redact("passing s3cre7!, pass=pass; 12345 no False 123456 hidden value", secrets)
    assert said == f"passing {MASK}, {MASK}={MASK}; 12345 no False {MASK} {MASK} value"


def test_every_line_of_a_key_is_a_secret() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nq8Zt2LmX9aPw4RkE\n-----END RSA PRIVATE KEY-----"
    secrets = secret_values({"DEPLOY_KEY": key})
    for line in key.splitlines()[1:3]:
        assert redact(line, secrets) == MASK
