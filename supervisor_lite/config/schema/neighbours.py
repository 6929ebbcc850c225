"""Keys of pm2, Compose, systemd, circus and their like: what they are called here.

Loaded for a diagnostic only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NOT_BY_THE_CLOCK: Final = (
    "nothing is started by the clock here; have cron or a systemd timer run slctl start NAME"
)
_NO_ORDER: Final = (
    "no program waits for another one here; what has a lower priority is started first"
)
_NO_PROBES: Final = (
    "no program is probed here; startsecs says how long it has to be up, and what ends is restarted"
)

_MEANT: Final[Mapping[str, str]] = {
    "env envs environ env_vars variables": 'write environment = { NAME = "value" }',
    "envfile env_files environment_file environmentfile dotenv": 'write env_file = "…"',
    "cwd workdir working_dir working_directory workingdirectory chdir dir root": (
        'write directory = "…"'
    ),
    "args arguments argv exec_args": (
        'arguments stand in command: command = ["program", "argument", …]'
    ),
    "cmd exec execstart exec_start run start entrypoint executable script bin main": (
        'write command = "…"'
    ),
    "interpreter exec_interpreter interpreter_args node_args": (
        'it stands in command, before the script: command = "node --option script.js"'
    ),
    "virtualenv venv": 'name its program in command: command = "/path/.venv/bin/python app.py"',
    "shell": 'write command = ["sh", "-c", "…"]',
    "execstartpre execstartpost pre_start post_start before_start hooks": (
        'there are no hooks here; write command = ["sh", "-c", "prepare && exec program"]'
    ),
    "execstop stop_command stop_cmd pre_stop post_stop execstoppost": (
        "a program is ended by stopsignal, and killed after stopwaitsecs"
    ),
    "execreload reload reload_signal": "reload it with slctl signal HUP NAME",
    "depends_on depends dependencies deps requires wants after before needs links": _NO_ORDER,
    "healthcheck health_check health livenessprobe readinessprobe probe": _NO_PROBES,
    "schedule cron cron_restart oncalendar timer interval every": _NOT_BY_THE_CLOCK,
    "watch watch_files ignore_watch watch_delay": (
        "no files are watched here; slctl restart NAME starts it anew"
    ),
    "instances exec_mode replicas scale numprocesses processes workers copies concurrency deploy": (
        'write numprocs = N and process_name = "%(program_name)s_%(process_num)d"'
    ),
    "singleton": "write numprocs = 1",
    "restart restart_policy respawn keepalive": (
        'write autorestart = true, false or "unexpected"; it is brought back by default, '
        "unless its exit code is one of exitcodes"
    ),
    "restartsec restart_sec restart_delay exp_backoff_restart_delay respawn_delay": (
        "the pause before the next try is backoff"
    ),
    "max_restarts max_retry max_retries startlimitburst startlimitintervalsec": (
        'write startretries = N for starts that fail, restart_limit = "5/10m" for restarts'
    ),
    "min_uptime start_period warmup_delay wait_ready listen_timeout": "write startsecs = N",
    "successexitstatus success_exit_status stop_exit_codes success_codes": (
        "write exitcodes = [0, …]"
    ),
    "user_id uid runas run_as username": 'write user = "…"',
    "group gid group_id supplementarygroups": (
        "its groups are those of its user; a group of programs is [group.NAME]"
    ),
    "kill_timeout timeoutstopsec stop_grace_period graceful_timeout stop_timeout timeout": (
        "write stopwaitsecs = N"
    ),
    "kill_signal killsignal signal": 'write stopsignal = "TERM"',
    "killmode kill_mode treekill": 'write leftovers = "kill" or "keep", and stopasgroup',
    "type": "a program stays in the foreground here; one that does not needs pidfile",
    "out_file stdout stdout_file standardoutput output output_file log_file logfile log logs": (
        'write stdout_logfile = "…"'
    ),
    "error_file err_file stderr stderr_file standarderror error": 'write stderr_logfile = "…"',
    "merge_logs combine_logs": "write redirect_stderr = true",
    "max_memory_restart": 'write memory_restart = "…"',
    "memory_limit mem_limit memorymax memorylimit memory": (
        'write memory_max = "…" for a limit, memory_restart = "…" for a restart'
    ),
    "cpus cpuquota cpu_quota cpu": 'write cpu_max = "…"',
    "limitnofile limitnproc limitcore ulimits ulimit": "write rlimits = { nofile = N }",
    "oomscoreadjust": "write oom_score_adj = N",
    "cpuaffinity": "write cpu_affinity = […]",
    "enabled enable disabled autoload": "write autostart = true or false",
    "copy_env": "it has the environment of the daemon anyway",
    "loadcredential secrets": 'write credentials = { name = "/path" }',
    "listenstream ports port": (
        'the program listens by itself; to have the daemon do it, sockets = ["tcp://…"]'
    ),
    "tty stdin_open": 'write stdin = "pipe"',
    "description name namespace labels tags comment documentation": (
        "the name stands in [program.NAME], what else there is to say in a comment"
    ),
    "image build volumes networks container_name privileged pull_policy": (
        "there are no containers here; command runs on this machine"
    ),
}
"""By keys, lower case and with underscores: what to write in a program."""

_OF_GATEWAY: Final[Mapping[str, str]] = {
    "port host bind address url": 'write listen = ["http://127.0.0.1:9001"]',
    "username user password": "write users = [ … ]; slctl passwd NAME makes one",
}
_OF_GROUP: Final[Mapping[str, str]] = {
    "members processes services apps": 'write programs = ["…"]',
}
_OF_ROOT: Final[Mapping[str, str]] = {
    "service services unit app apps watcher watchers process processes command worker web": (
        'a program is a table [program.NAME] with command = "…" here'
    ),
    "install": "the daemon is installed, not its programs; autostart starts them with it",
    "timer timers cron schedule": _NOT_BY_THE_CLOCK,
    "networks volumes version secrets configs": (
        'that is of Compose; a program is a table [program.NAME] with command = "…" here'
    ),
    "env environment": "that is a key of [daemon], for all, and of [program.NAME]",
}


def meant(name: str, table: str) -> str:
    """Return what to write for a key of others in a table ("" is the root); empty if unknown."""
    tables = {"gateway": _OF_GATEWAY, "group": _OF_GROUP, "": _OF_ROOT}
    if table in ("program", "eventlistener"):
        tables[table] = _MEANT
    word = name.lower().replace("-", "_")
    for words, text in tables.get(table, {}).items():
        if word in words.split():
            return text
    return ""
