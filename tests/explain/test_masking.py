"""Secrets in command lines, by the rule of docs/access.md."""

from __future__ import annotations

import time

import pytest

from supervisor_lite.explain.masking import MASK, mask_text, mask_values, mask_words

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
        ["app", "--dbpass", SECRET],
        ["env", "DBPASS=hunter2"],
        ["env", "mypwd=hunter2"],
        ["app", "--root-pw=hunter2"],
        ["app", "userpw=hunter2"],
        ["redis-server", "--masterauth", SECRET],
        ["app", "--pin", SECRET],
        ["app", "https://host/x?sig=hunter2"],
        ["curl", "-ume:hunter2"],
        ["curl", "--user=me:hunter2"],
        ["sh", "-c", "curl -u me:hunter2 host"],
        ["sh", "-c", "curl --user 'me:hunter2' host"],
        ["sh", "-c", 'app \'{"a": "{\\"password\\":\\"hunter2\\"}"}\''],
        ["app", '{"password" :   "hunter2"}'],
        ["app", '{"user": {"password":\n  "hunter2"}}'],
        ["app", '{"tokens": ["one", "hunter2"]}'],
        ["app", '{"auth": {"name": "me", "word": "hunter2"}}'],
        ["app", "password => 'hunter2'"],
        ["app", "password := hunter2"],
        ["app", "<password>hunter2</password>"],
        ["sh", "-c", 'app --password  a"hunter2"'],
        ["sh", "-c", "app --password $'hunter2'"],
        ["app", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.hunter2"],
        ["app", "ghp_hunter2hunter2hunter2"],
        ["app", "glpat-hunter2"],
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
        ["app", "--passive=1", "--author=me", "-u", "me"],
        ["python", "-m", "tokenizer"],
        ["sh", "-c", "select key from t"],
    ],
    ids=" ".join,
)
def test_what_is_not(words: list[str]) -> None:
    assert list(mask_words(words)) == words


@pytest.mark.parametrize(
    "part",
    ['pass="x ', 'pass=\\"', "pass={", "pass: [", "-u ", "-u a ", '"-u ', "://a:", "eyJaaaaaaaa.",
     "pass =", "pass\\", "passpass=", "-----BEGIN "],
)  # fmt: skip
def test_a_long_command_line_costs_as_much_as_it_is_long(part: str) -> None:
    """Four times the text may not cost much more than four times the time."""

    def cost(length: int) -> float:
        text = part * (length // len(part))
        times = []
        for _ in range(5):
            before = time.process_time()
            mask_text(text)
            times.append(time.process_time() - before)
        return min(times)

    assert cost(200_000) < 25 * cost(25_000)


def test_values_of_any_shape() -> None:
    assert mask_values({"a": ["key=x", 1, None, {"b": "http://a:b@c"}]}) == {
        "a": ["key=***", 1, None, {"b": "http://a:***@c"}]
    }
