"""Secrets in command lines, by the rule of docs/access.md."""

from __future__ import annotations

import pytest

from supervisor_lite.explain.masking import MASK, mask_values, mask_words

SECRET = "hunter2"


@pytest.mark.parametrize(
    "words",
    [
        ["mysqld", "--password=hunter2"],
        ["mysqld", "--password=hunter2 with blanks"],
        ["mysqld", "--db-passwd", SECRET],
        ["app", "-passphrase", SECRET],
        ["app", "--API_KEY", SECRET],
        ["app", "--pass", SECRET],
        ["env", "DB_PASS=hunter2", "app"],
        ["env", "AWS_SECRET_ACCESS_KEY=hunter2", "app"],
        ["env", "GithubToken=hunter2"],
        ["curl", "-H", "Authorization: Bearer hunter2"],
        ["curl", "-H", "Authorization: Basic hunter2=="],
        ["curl", "--header=X-Api-Key: hunter2 and more"],
        ["curl", "-u", "me:hunter2"],
        ["curl", "https://me:hunter2@host/x"],
        ["curl", "https://hunter2@host/x"],
        ["curl", "https://host/x?a=1&token=hunter2&b=2"],
        ["app", "postgres://me:p@hunter2@host/db"],
        ["app", "redis://:hunter2@host"],
        ["sh", "-c", "mysql --password hunter2 -u root"],
        ["sh", "-c", "mysql --password='hunter2 x' -u root"],
        ["sh", "-c", 'TOKEN="hunter2 x" app'],
        ["sh", "-c", 'TOKEN="hunter2'],
        ["sh", "-c", "curl -H 'Authorization: Token hunter2' https://host"],
        ["app", '{"user": "me", "password": "hunter2"}'],
        ["app", "secret:hunter2"],
        ["app", "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----"],
    ],
    ids=" ".join,
)
def test_what_is_masked(words: list[str]) -> None:
    masked = mask_words(words)
    assert SECRET not in " ".join(masked)
    assert MASK in " ".join(masked)
    assert masked[0] == words[0]


@pytest.mark.parametrize(
    "words",
    [
        ["gunicorn", "app:app", "--bind", "127.0.0.1:8000", "--keep-alive", "5"],
        ["ssh", "git@host"],
        ["git", "clone", "ssh://git@host/x"],
        ["app", "--no-password", "run"],
        ["app", "--token", "--verbose"],
        ["app", "-p80", "--compass=3", "--bypass", "x"],
        ["python", "-m", "tokenizer"],
        ["sh", "-c", "select key from t"],
    ],
    ids=" ".join,
)
def test_what_is_not(words: list[str]) -> None:
    assert list(mask_words(words)) == words


def test_values_of_any_shape() -> None:
    assert mask_values({"a": ["key=x", 1, None, {"b": "http://a:b@c"}]}) == {
        "a": ["key=***", 1, None, {"b": "http://a:***@c"}]
    }
