"""What is legal and probably not meant: told with file, line and key, never of what is right."""

from __future__ import annotations

import json

import pytest

from tests.config.conftest import Folder

SHELL = 'command = ["sh", "-c", "…"]'

# What is written after `command = `, and how the warning about it begins and ends.
NEEDS_A_SHELL = {
    "and": ("'srv && gunicorn app'", '"&&" is an argument here'),
    "or": ("'srv || true'", '"||" is an argument here'),
    "pipe": ("'srv | tee log'", '"|" is an argument here'),
    "semicolon within": ("'srv a; other'", '"a;" is an argument here'),
    "items": ('["srv", "&&", "other"]', '"&&" is an argument here'),
    "to a file": ("'srv > /tmp/log'", '">" is an argument here'),
    "to a file at once": ("'srv >/tmp/log 2>&1'", '">/tmp/log" "2>&1" are arguments here'),
    "errors": ("'srv 2>/dev/null'", '"2>/dev/null" is an argument here'),
    "from a file": ("'srv < in'", '"<" is an argument here'),
    "appended": ("'srv >> log'", '">>" is an argument here'),
    "background": ("'srv &'", "leave it out: a program stays in the foreground"),
    "variable": ("'srv $HOME'", "write %(ENV_HOME)s, or"),
    "braces": ("'srv --x=${X}'", "write %(ENV_X)s, or"),
    "default": ("'srv ${X:-80}'", "write %(ENV_X)s, or"),
    "in double quotes": ("'srv \"$HOME/x\"'", "write %(ENV_HOME)s, or"),
    "variable in a list": ('["srv", "--x=$PORT"]', "write %(ENV_PORT)s, or"),
    "home": ("'srv ~/x'", "write the whole path, or %(ENV_HOME)s/…"),
    "pattern": ("'cat *.log'", '"*.log" is not expanded'),
    "pattern in a path": ("'srv /var/*.log'", '"/var/*.log" is not expanded'),
    "backquotes": ("'srv `date`'", '"`date`" is not expanded'),
    "substitution": ("'srv $(date)'", '"$(date)" is not expanded'),
    "script in words": ("'sh -c ./run --port 8'", "put the whole script into one word"),
    "script without quotes": ("'bash -c cd /x && ./run'", '"cd" is all that the shell runs'),
    "an item with blanks": ('["srv", "--port 80"]', 'write "--port", "80" in the list'),
    "quotes around both": ("\"srv '-b :80'\"", 'write "-b", ":80" in the list'),
    "detached": ("'gunicorn app:app --daemon'", '"--daemon" puts it into the background'),
    "container": ("'docker run -d redis'", "no --detach (-d)"),
    "redis": ("'redis-server --daemonize yes'", "keep it in the foreground with --daemonize no"),
    "celery": ("'celery multi start 3'", "celery worker (not celery multi)"),
    "done at once": ("'echo hello'", "and it is run 4 times; write startsecs = 0 for a job"),
    "a job of Django": ("'python3 manage.py migrate'", "write startsecs = 0 for a job"),
}


@pytest.mark.parametrize(("written", "said"), NEEDS_A_SHELL.values(), ids=NEEDS_A_SHELL.keys())
def test_what_is_probably_not_meant_is_told(folder: Folder, written: str, said: str) -> None:
    warnings = folder.load(f"[program.web]\ncommand = {written}\n").warnings
    assert any(text.startswith("supervisor.toml:2: program.web.command: ") for text in warnings)
    assert any(said in text for text in warnings)


RIGHT: list[str | list[str]] = [
    'sh -c "a && b > $HOME"',
    "bash -lc 'cd x; y'",
    ["sh", "-c", "a && b"],
    ["bash", "-ec", "x | y"],
    ["sh", "-c", 'exec srv --port "$1"', "_", "80"],
    "sh -c 'exec \"$@\"' -- a b",
    "sudo -u x bash -c 'a && b'",
    "env A=1 sh -c 'exec b > c'",
    "nginx -g 'daemon off;'",
    "gunicorn app:app --bind 0.0.0.0:80 --forwarded-allow-ips=*",
    "uvicorn x --forwarded-allow-ips *",
    "curl-loop http://x/?a=1&b=2",
    "find . -name *.py -exec rm {} ;",
    ["awk", "{print $NF}"],
    "awk '{print $1}' f",
    "python -c 'print(1 > 2)'",
    ["perl", "-e", "print 1 > 2"],
    "celery -A proj worker -n w@%%h -Q a,b",
    "java -cp lib/* Main",
    "grep '>' x",
    "pip-srv 'x>=1'",
    "ssh host a | b",
    "su -c 'a && b' x",
    "srv --regex=^x$ 'b;c' a|b -Dx=y;z",
    ["srv", "--title", "my title"],
    ["srv", "-o", "ProxyCommand=x y"],
    ["srv", "-m", "a - b"],
    "srv <none> -> b --filter * $ [c]",
    "srv '~/x' '$HOME' '*.log'",
    "php-fpm -F",
    "docker run redis -d",
    "redis-server --daemonize no",
    "supervisord -n",
    "mongod --dbpath /data",
    "python3 app.py",
    "sh -c 'echo hello'",
]


@pytest.mark.parametrize("command", RIGHT, ids=str)
def test_what_is_right_is_not_warned_of(folder: Folder, command: str | list[str]) -> None:
    text = f"[program.web]\ncommand = {json.dumps(command)}\n"
    assert folder.load(text).warnings == ()


JOB = "[program.web]\ncommand = 'python3 once.py'\nautorestart = false\n"


@pytest.mark.parametrize(
    "more",
    [
        "startsecs = 0\n",
        "startsecs = 1\n",
        "startretries = 0\n",
        "numprocs = 2\nprocess_name = 'w%(process_num)d'\n",
        "stopsignal = 'INT'\n",
        "sockets = ['tcp://127.0.0.1:8000']\n",
    ],
)
def test_a_job_is_told_of_startsecs(folder: Folder, more: str) -> None:
    """Once, where it says that it is one; not if it says how long it has to be up."""
    (warning,) = folder.load(JOB + "[group.a]\nprograms = ['web']\n").warnings
    assert warning == (
        "supervisor.toml:3: program.web.autorestart: if it ends by itself: an end within startsecs "
        "(1 s) is a failed start, whatever the exit code, and it is run 4 times; write "
        "startsecs = 0 for a job"
    )
    assert folder.load(JOB + more).warnings == ()


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn app",
        "python3 manage.py runserver",
        "node server.js",
        "sleep 1000",
        "app --port 80",
    ],
)
def test_what_is_a_server_is_no_job(folder: Folder, command: str) -> None:
    assert folder.load(f"[program.w]\ncommand = '{command}'\nautorestart = false\n").warnings == ()


def test_a_secret_in_a_command_is_not_told(folder: Folder) -> None:
    (warning,) = folder.load("[program.w]\ncommand = 'srv >--token=hush'\n").warnings
    assert "hush" not in warning
