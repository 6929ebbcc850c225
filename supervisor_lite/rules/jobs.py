"""Does a command end by itself, as far as its words tell?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from supervisor_lite.rules.background import STAYS_WITH
from supervisor_lite.rules.shell_words import base_name

_SHORT: Final = frozenset({
    "true", "false", "echo", "printf", "date", "mkdir", "rmdir", "touch", "rm", "cp", "mv", "ln",
    "chown", "chmod", "chgrp", "ls", "pwd", "id", "whoami", "hostname", "uname", "install",
    "mktemp", "sync", "sysctl", "iptables", "ip6tables", "nft", "mount", "umount", "modprobe",
    "kill", "pkill", "killall", "logger", "wall", "test", "[", "truncate", "mkfifo", "mknod",
    "setfacl", "ldconfig",
    "certbot", "logrotate", "tmpreaper", "pg_dump", "mysqldump", "alembic", "rake", "knex",
})  # fmt: skip
"""Programs that end when they are done, whatever their arguments are."""

_JOBS: Final = re.compile(
    r"(?:\S*/)?manage\.py (?:migrate|collectstatic|loaddata|dumpdata|check|compilemessages"
    r"|createsuperuser|clearsessions|makemigrations|flush)\b"
    r"|(?:\S*/)?artisan (?:migrate|db:|config:|cache:|route:|view:|optimize|storage:link)"
    r"|flask db |(?:npm|yarn|pnpm) (?:install|ci|run build)\b|(?:pip3?|composer|bundle) install\b"
    r"|bundle exec rake |rails db:|prisma migrate\b|systemctl |service "
)
"""Commands that do so with these arguments."""

_SERVES: Final = re.compile(
    r"(?i)(?<![a-z])(?:run)?serv(?:e|er|ers|ice|ing)?(?![a-z])|worker|listen|daemon|consum"
    r"|(?<![a-z])(?:beat|loop|watch|follow|forever)(?![a-z])|--(?:port|bind|host|listen)\b|:\d{2,5}\b"
    r"|queue:work|schedule:work"
)
"""Words of a command that runs until it is stopped."""

_SERVERS: Final = frozenset({
    "uvicorn", "hypercorn", "daphne", "waitress-serve", "tail", "sleep", "cat", "socat", "nc",
    "prometheus", "grafana", "traefik", "envoy", "etcd", "consul", "vault", "nomad", "minio",
    "inotifywait", "xvfb", "x11vnc", "websockify", "jupyter", "jupyter-lab", "jupyter-notebook",
})  # fmt: skip


def ends_by_itself(command: Sequence[str]) -> bool:
    """Is this one of the commands of which it is known that they end when they are done?"""
    if base_name(command[0]) in _SHORT:
        return True
    return _JOBS.search(" ".join(command)) is not None


def runs_on(command: Sequence[str]) -> bool:
    """Is this a server, or something else that runs until it is stopped, as far as it shows?"""
    names = {re.sub(r"[\d.]+$", "", base_name(word).lower()) for word in command[:4]}
    if names & (_SERVERS | STAYS_WITH.keys()):
        return True
    return _SERVES.search(" ".join(command)) is not None
