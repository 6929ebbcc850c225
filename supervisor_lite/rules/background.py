"""Programs that put themselves into the background, and what keeps them in the foreground.

Their main process ends at once, with exit code 0, and what runs on is watched by nobody. Loaded
only where a command shows such an option, or where it has happened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from supervisor_lite.rules.shell_words import base_name

STAYS_WITH: Final[Mapping[str, str]] = {
    "nginx": "-g 'daemon off;'",
    "openresty": "-g 'daemon off;'",
    "tengine": "-g 'daemon off;'",
    "redis-server": "--daemonize no",
    "redis-sentinel": "--daemonize no",
    "valkey-server": "--daemonize no",
    "keydb-server": "--daemonize no",
    "apache2": "-DFOREGROUND",
    "httpd": "-DFOREGROUND",
    "apachectl": "-DFOREGROUND",
    "apache2ctl": "-DFOREGROUND",
    "gunicorn": "no --daemon, and daemon = False in its configuration",
    "unicorn": "no --daemonize (-D)",
    "unicorn_rails": "no --daemonize (-D)",
    "puma": "no --daemon (-d)",
    "thin": "no --daemonize (-d)",
    "sidekiq": "no --daemon (-d)",
    "uwsgi": "no --daemonize (daemonize in its configuration)",
    "celery": "celery worker (not celery multi), without --detach",
    "php-fpm": "--nodaemonize (-F)",
    "sshd": "-D",
    "cron": "-f",
    "crond": "-n (cronie), or -f (busybox)",
    "atd": "-f",
    "rsyslogd": "-n",
    "syslog-ng": "-F",
    "syslogd": "-n",
    "haproxy": "-W without -D, or -db",
    "postgres": "no -B; run postgres itself, not pg_ctl",
    "pg_ctl": "postgres -D …, in place of pg_ctl start",
    "pg_ctlcluster": "--foreground",
    "pgbouncer": "no -d",
    "pgpool": "-n",
    "mysqld": "no --daemonize (-D)",
    "mysqld_safe": "mysqld, in place of mysqld_safe",
    "mongod": "no --fork (processManagement.fork: false)",
    "mongos": "no --fork (processManagement.fork: false)",
    "memcached": "no -d",
    "varnishd": "-F",
    "squid": "--foreground (-N)",
    "dnsmasq": "--keep-in-foreground (-k)",
    "named": "-f",
    "unbound": "-d",
    "pdns_server": "--daemon=no",
    "vsftpd": "-obackground=NO",
    "proftpd": "--nodaemon",
    "pure-ftpd": "no --daemonize (-B)",
    "postfix": "start-fg",
    "master": "-d",
    "dovecot": "-F",
    "exim": "-bdf",
    "exim4": "-bdf",
    "lighttpd": "-D",
    "stunnel": "foreground = yes in its configuration",
    "stunnel4": "foreground = yes in its configuration",
    "keepalived": "--dont-fork (-n)",
    "ntpd": "-n",
    "chronyd": "-d (or -n)",
    "tor": "--RunAsDaemon 0",
    "privoxy": "--no-daemon",
    "openvpn": "no --daemon",
    "beanstalkd": "no -d",
    "supervisord": "--nodaemon (-n)",
    "monit": "-I",
    "caddy": "caddy run, in place of caddy start",
    "zkserver.sh": "start-foreground",
    "kafka-server-start.sh": "no -daemon",
    "catalina.sh": "run, in place of start",
    "startup.sh": "catalina.sh run, in place of startup.sh",
    "solr": "start -f",
    "elasticsearch": "no --daemonize (-d)",
    "opensearch": "no --daemonize (-d)",
    "rabbitmq-server": "no -detached",
    "cassandra": "-f",
    "activemq": "console, in place of start",
    "pm2": "pm2-runtime, or start --no-daemon; better the script itself",
    "forever": "no start; better the script itself",
    "docker": "no --detach (-d)",
    "podman": "no --detach (-d)",
    "docker-compose": "up without --detach (-d)",
    "nohup": "the command itself, without nohup and &",
    "setsid": "the command itself, without setsid (or setsid --wait)",
    "daemonize": "the command itself, without daemonize",
    "daemon": "the command itself, without daemon",
    "start-stop-daemon": "the command itself, without start-stop-daemon",
    "screen": "the command itself, without screen (or screen -D -m)",
    "tmux": "the command itself, without tmux",
    "service": "the program itself, in place of service",
    "systemctl": "the program itself, in place of systemctl",
    "slapd": "-d 0",
    "smbd": "--foreground (-F)",
    "nmbd": "--foreground (-F)",
    "winbindd": "--foreground (-F)",
    "nscd": "--foreground (-F)",
    "sssd": "-i",
    "dbus-daemon": "--nofork",
    "avahi-daemon": "no --daemonize (-D)",
    "xinetd": "-dontfork",
    "inetd": "-i",
    "radiusd": "-f",
    "freeradius": "-f",
    "zabbix_agentd": "-f",
    "zabbix_server": "-f",
    "munin-node": "--foreground",
    "collectd": "-f",
    "snmpd": "-f",
    "rpcbind": "-f",
    "transmission-daemon": "--foreground (-f)",
    "mosquitto": "no --daemon (-d)",
    "spawn-fcgi": "-n",
    "prosody": "-F",
    "ejabberdctl": "foreground",
    "asterisk": "-f",
    "freeswitch": "-nf",
    "bird": "-f",
    "vncserver": "-fg",
    "td-agent": "no --daemon (-d)",
    "fluentd": "no --daemon (-d)",
    "autossh": "no -f",
    "ssh": "no -f",
    "icecast": "no -b",
    "icecast2": "no -b",
    "ulogd": "no --daemon (-d)",
    "twistd": "--nodaemon (-n)",
    "paster": "no --daemon",
    "pserve": "no --daemon",
    "circusd": "no --daemon",
    "scrapyd": "-n",
    "salt-minion": "no --daemon (-d)",
    "salt-master": "no --daemon (-d)",
    "puppet": "--no-daemonize",
}
"""By program: the options, or what to run in its place."""

_OPTIONS: Final[Mapping[str, str]] = {
    "gunicorn": r"-D|--daemon",
    "unicorn": r"-D|--daemonize",
    "uwsgi": r"--daemonize2?(?:=.*)?",
    "celery": r"--detach|multi",
    "mongod": r"--fork",
    "mongos": r"--fork",
    "memcached": r"-d",
    "mysqld": r"-D|--daemonize",
    "pgbouncer": r"-d|--daemon",
    "rabbitmq-server": r"-detached",
    "elasticsearch": r"-d|--daemonize",
    "kafka-server-start.sh": r"-daemon",
    "mosquitto": r"-d|--daemon",
    "zkserver.sh": r"start",
    "catalina.sh": r"start",
    "caddy": r"start",
    "pg_ctl": r"start",
    "docker-compose": r"-d|--detach",
    "apachectl": r"start",
    "apache2ctl": r"start",
    "service": r"start|restart",
    "systemctl": r"start|restart",
    "openvpn": r"--daemon(?:=.*)?",
    "haproxy": r"-D",
    "pserve": r"--daemon",
    "circusd": r"--daemon",
    "autossh": r"-f",
}
"""By program: the words that put it into the background for certain."""


def _program(command: Sequence[str]) -> str:
    """Return the name of the program that a command runs, also after an interpreter."""
    for word in command:
        name = base_name(word).lower()
        name = re.sub(r"[\d.]+$", "", name) if name not in STAYS_WITH else name
        if name in STAYS_WITH:
            return name
    return ""


def stays_with(command: Sequence[str]) -> str:
    """Return what keeps a program in the foreground; empty if that is not known."""
    return STAYS_WITH.get(_program(command), "")


def background_words(command: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command that put it into the background; none if none does."""
    for index, word in enumerate(command[:3]):
        name = base_name(word).lower()
        rest = command[index + 1 :]
        if name in ("docker", "podman"):
            return _of_container(rest)
        if name in ("redis-server", "valkey-server"):
            is_asked = ("--daemonize", "yes") in pairwise(rest)
            return ("--daemonize yes",) if is_asked else ()
        if name in _OPTIONS:
            return tuple(each for each in rest if re.fullmatch(_OPTIONS[name], each))[:1]
    return ()


def _of_container(words: Sequence[str]) -> tuple[str, ...]:
    """Return the option that leaves a container in the background: it stands before the image."""
    verbs = [word for word in words if not word.startswith("-")][:2]
    if verbs[:1] != ["run"] and verbs != ["compose", "up"]:
        return ()
    for word in words[words.index(verbs[-1] if verbs[0] == "compose" else "run") + 1 :]:
        if re.fullmatch(r"-d|-[it]*d[it]*|--detach(?:=true)?", word):
            return (word,)
        if not word.startswith("-"):
            return ()
    return ()
