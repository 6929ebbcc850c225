"""What Supervisor's own sample file explains: it does not hold here, and nobody has written it."""

from __future__ import annotations

import re

_BEGINNINGS = (
    "sample supervisor config file.",
    "supervisor config file",
    "security warning:",
    "the rpcinterface:supervisor section must remain",
    "the below section must remain in the config file for",
    "the supervisorctl section configures",
    "the sample ",
    "the [include] section can just contain",
)
"""How the comments of the sample file begin: they explain the old format."""

_STREAM = {
    "logfile": "AUTO", "logfile_maxbytes": "50MB", "logfile_backups": "10",
    "capture_maxbytes": "0", "events_enabled": "false", "syslog": "false",
}  # fmt: skip
_DEFAULTS = {
    "chmod": "0700", "logfile": "$CWD/supervisord.log", "logfile_maxbytes": "50MB",
    "logfile_backups": "10", "loglevel": "info", "pidfile": "supervisord.pid",
    "nodaemon": "false", "silent": "false", "minfds": "1024", "minprocs": "200",
    "nocleanup": "false", "strip_ansi": "false", "identifier": "supervisor",
    "childlogdir": "$TEMP", "process_name": "%(program_name)s", "numprocs": "1",
    "priority": "999", "autostart": "true", "startsecs": "1", "startretries": "3",
    "autorestart": "unexpected", "exitcodes": "0", "stopsignal": "TERM", "stopwaitsecs": "10",
    "stopasgroup": "false", "killasgroup": "false", "redirect_stderr": "false", "umask": "None",
    "buffer_size": "10", "directory": "no cwd", "environment": "no adds",
    **{f"{stream}_{name}": text for stream in ("stdout", "stderr")
       for name, text in _STREAM.items()},
}  # fmt: skip
"""Supervisor's defaults, as its sample file tells them."""

_EXAMPLES = frozenset(
    (
        "chown=nobody:nogroup", "username=user", "password=123", "port=127.0.0.1:9001",
        "umask=022", "user=supervisord", "user=chrism", "directory=/tmp", "nocleanup=true",
        "childlogdir=/tmp", 'environment=KEY="value"', "environment=KEY=value",
        'environment=A="1",B="2"', "environment=A=1,B=2", "serverurl=http://127.0.0.1:9001",
        "serverurl=AUTO", "username=chris", "prompt=mysupervisor", "history_file=~/.sc_history",
        "command=/bin/cat", "command=/bin/eventlistener", "priority=-1", "autorestart=true",
        "redirect_stderr=false", "events=EVENT", "programs=progname1,progname2",
    )
)  # fmt: skip
"""What is commented out in the sample file without a word on the default."""

_OUT = re.compile(
    r"[;#]+\s*(?:\[[a-z_:-]+\]|(?P<key>[a-z_]+)\s*=\s*(?P<value>[^;]*?))\s+;(?P<why>.*)"
)
"""Something that is commented out and explained beside it."""

HEADER = re.compile(r"[;#]+\s*(?:\[[^\]]*\]|files = relative/directory/\*\.ini)\s*")


def is_prose(first: str) -> bool:
    """Tell whether a comment that begins so is one of the sample file."""
    return first.strip(";# ").lower().startswith(_BEGINNINGS)


def is_example(line: str) -> bool:
    """Tell whether what is commented out, and explained beside it, is of the sample file."""
    match = _OUT.fullmatch(line)
    if match is None:
        return False
    key = match["key"]
    known = key is None or f"{key}={match['value']}" in _EXAMPLES
    return known or tells_default(str(key), match["why"])


def tells_default(key: str, text: str) -> bool:
    """Does a comment beside a key tell what Supervisor does without it?"""
    default = _DEFAULTS.get(key)
    if default is None:
        return False
    told = rf"\bdef(?:ault)?s?\b[.:]?\s*(?:is|to|=)?\s*['\"]?{re.escape(default)}(?!\w)"
    return re.search(told, text, re.IGNORECASE) is not None


def tells_of_section(text: str) -> bool:
    """Does a comment beside a section say that Supervisor has it not by default?"""
    return text.strip("; ").endswith("disabled by default")
