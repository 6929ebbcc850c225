"""Supervisor's HTTP servers: the gateway, and who may talk to the daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator

from supervisor_lite.migrate import values as v
from supervisor_lite.migrate.keys import Keys
from supervisor_lite.migrate.percent import PercentError, escaped, hide
from supervisor_lite.migrate.sections import Ini, Section
from supervisor_lite.migrate.toml_writer import Line, Toml, TomlTable, comment
from supervisor_lite.passwords import USER_NAME_RULE, is_user_name, make_hash

_NAMES = frozenset(("here", "host_node_name"))
_SERVED_BY = (
    "supervisor-lite-gateway serves this: pip install 'supervisor-lite[gateway]'. To have it run:",
    "[program.gateway]",
    'command = "supervisor-lite-gateway -c %(here)s/supervisor.toml"',
    "priority = 1",
)
_PASSWORDS = "`slctl passwd NAME` makes one, for a [[gateway.users]] table"


def servers(ini: Ini, keys: Keys, daemon: TomlTable) -> Iterator[TomlTable]:
    """Yield [gateway] and [[access]] for the HTTP servers; complete [daemon]."""
    found = [s for s in ini.sections.values() if s.kind in ("unix_http_server", "inet_http_server")]
    if not found:
        return
    work = _Servers(keys, daemon)
    for section in found:
        work.user(section)
        if section.kind == "unix_http_server":
            work.unix(section)
        else:
            work.tcp(section)
    yield from work.tables()


class _Servers:
    """What the servers become."""

    def __init__(self, keys: Keys, daemon: TomlTable) -> None:
        self._keys = keys
        self._daemon = daemon
        self._gateway = TomlTable(("gateway",))
        self._listen: list[Toml] = []
        self._users: dict[str, str] = {}
        """Password by name."""
        self._access: list[TomlTable] = []

    def tables(self) -> Iterator[TomlTable]:
        """Yield the tables."""
        if self._listen:
            lines = self._gateway.lines
            self._gateway.lines = {"listen": Line(self._listen), **lines}
            yield self._gateway
            for name, password in self._users.items():
                values = {"name": escaped(name), "password_hash": make_hash(password)}
                lines = {key: Line(value) for key, value in {**values, "role": "admin"}.items()}
                yield TomlTable(("gateway", "users"), lines, listed=True)
            yield TomlTable((), above=list(map(comment, _SERVED_BY)))
        yield from self._access

    def user(self, section: Section) -> None:
        """Take over who may come with a password."""
        notes = self._keys.notes(section, "password")
        name, password = self._text(section, "username"), self._text(section, "password")
        if not name or password is None:
            return
        if not is_user_name(name):
            self._keys.notes(section, "username").warn_lossy(f"{USER_NAME_RULE} here: {_PASSWORDS}")
        elif password.startswith("{SHA}"):
            notes.warn_lossy(
                f"only the hash of the password is known, which is of another kind: {_PASSWORDS}"
            )
        elif self._users.setdefault(name, password) != password:
            notes.warn_lossy(f'"{name}" has another password elsewhere, which now is good for both')

    def unix(self, section: Section) -> None:
        """Listen on a Unix socket, and let those use slctl who could use supervisorctl."""
        self._gateway.above = [*self._gateway.above, *section.above]
        address = self._file(section)
        secret = bool(self._text(section, "username"))
        if address is not None and (self._users or not secret):
            self._listen.append(address)
            self._keys.notes(section, "file").note(
                "here supervisor-lite-gateway listens for supervisorctl and XML-RPC (extra "
                "`gateway`); slctl has a socket of its own"
            )
        elif address is not None:
            self._keys.notes(section, "file").warn_lossy(f"needs a password: {_PASSWORDS}")
        mode = self._mode(section)
        if mode is None:
            return
        owner, _, group = (section.text("chown") or "").partition(":")
        setting = section.settings.get("chmod")
        lines = self._gateway.lines
        if setting is not None:
            lines["socket_mode"] = Line(f"{mode:04o}", setting.above, setting.beside)
        if owner:
            lines["socket_owner"] = Line(escaped(owner))
        if group:
            lines["socket_group"] = Line(escaped(group))
        if secret and address in self._listen:
            lines["socket_password"] = Line(True)
        elif not secret:
            self._admit(section, mode, owner, group)

    def tcp(self, section: Section) -> None:
        """Listen on a TCP port."""
        self._gateway.above = [*self._gateway.above, *section.above]
        text = self._text(section, "port", expanded=False)
        if not text:
            self._keys.notes(section, "port").warn_lossy(
                "Supervisor refuses a server without a port"
            )
            return
        host, colon, port = text.rpartition(":")
        if not colon:
            host, port = "", text
        address = f"http://{host.lower() or '*'}:{port}"
        notes = self._keys.notes(section, "port")
        if self._users:
            self._listen.append(address)
            notes.note("here supervisor-lite-gateway listens (extra `gateway`)")
        else:
            notes.warn_lossy(
                f'"{address}" cannot be in listen of [gateway] without a password: {_PASSWORDS}'
            )

    def _file(self, section: Section) -> str | None:
        """Return the address of a Unix socket."""
        path = self._text(section, "file", expanded=False)
        if not path:
            self._keys.notes(section, "file").warn_lossy(
                "Supervisor refuses a server without a file"
            )
            return None
        path = os.path.expanduser(path)
        if path.startswith("~"):
            self._keys.notes(section, "file").warn_lossy(f"there is no home directory for {path}")
            return None
        if not path.startswith(("/", "%(")):
            path = os.path.normpath(os.path.join(escaped(self._keys.base), path))
        if len(os.fsencode(path)) > 107:
            self._keys.notes(section, "file").warn_lossy("the path of a socket may have 107 bytes")
            return None
        return f"unix://{path}"

    def _mode(self, section: Section) -> int | None:
        """Return the mode of a Unix socket."""
        try:
            return int(section.text("chmod") or "0700", 8) & 0o777
        except ValueError:
            text = "Supervisor refuses this: it wants an octal number; left out"
            self._keys.notes(section, "chmod").warn_lossy(text)
            return None

    def _admit(self, section: Section, mode: int, owner: str, group: str) -> None:
        """Make who could control Supervisor by the socket's mode an admin."""
        lines: dict[str, Toml] = {}
        if owner not in ("", "0", "root") and mode & 0o200:
            lines["users"] = [escaped(owner)]
            self._daemon.lines["socket_owner"] = Line(escaped(owner))
        if group and mode & 0o020:
            lines["groups"] = [escaped(group)]
            self._daemon.lines["socket_group"] = Line(escaped(group))
        if mode & 0o002:
            self._keys.notes(section, "chmod").warn_lossy(
                "everybody on the machine could use supervisorctl; slctl only obeys root, the "
                "daemon's user and whom [[access]] names"
            )
        if lines and not self._access:
            self._daemon.lines["socket_mode"] = Line(f"{mode & 0o660:04o}")
            admin = {"role": Line("admin"), **{key: Line(value) for key, value in lines.items()}}
            self._access = [TomlTable(("access",), admin, listed=True)]

    def _text(self, section: Section, key: str, *, expanded: bool = True) -> str | None:
        """Return a value; `expanded` must hold no variables, for it is looked at."""
        text = section.text(key)
        if text is None:
            return None
        notes = self._keys.notes(section, key)
        try:
            if not expanded:
                return v.expansions(text.strip(), self._keys.context(section, key, _NAMES))
            pieces: list[str] = []
            text = hide(text, pieces)
        except PercentError as error:
            notes.warn_lossy(f"{error}; left out")
            return None
        if pieces:
            notes.warn_lossy(f"cannot be taken from elsewhere by {pieces[0]}: {_PASSWORDS}")
            return None
        return text
