"""Supervisor's HTTP servers: the gateway, and who may talk to the daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from supervisor_lite.migrate import values as v
from supervisor_lite.migrate.keys import Keys
from supervisor_lite.migrate.percent import PercentError, escaped, hide
from supervisor_lite.migrate.sections import Ini, Section
from supervisor_lite.migrate.toml_writer import Line, Toml, TomlTable, comment
from supervisor_lite.passwords import USER_NAME_RULE, is_user_name, make_hash

_NAMES = frozenset(("here", "host_node_name"))
_SERVED_BY = (
    "supervisor-lite-gateway serves this, which the daemon runs by itself. It is an extra:",
    "pip install 'supervisor-lite[gateway]'",
)
_PASSWORDS = "`slctl passwd NAME` makes one, for a [[gateway.users]] table"


def servers(ini: Ini, keys: Keys, daemon: TomlTable) -> Iterator[TomlTable]:
    """Yield [gateway] and [[access]] for the HTTP servers; complete [daemon]."""
    found = [s for s in ini.sections.values() if s.kind in ("unix_http_server", "inet_http_server")]
    if not found:
        return
    work = _Servers(keys, daemon)
    for section in found:
        work.take(section)
    yield from work.tables()


class _Secret(NamedTuple):
    """Who may come to a server with a password."""

    name: str
    password: str


class _Unusable(ValueError):
    """A server cannot be served as it was; the text says why."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


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
        self._permissions: tuple[int, str, str] | None = None
        """Mode, owner and group of the Unix sockets: all have the same."""
        self._secrets: set[_Secret | None] = set()
        """Of the Unix sockets."""

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
        elif self._gateway.above:
            yield TomlTable((), above=self._gateway.above)
        yield from self._access

    def take(self, section: Section) -> None:
        """Serve what a section does, or say why it is not served."""
        above = [text for setting in section.settings.values() for text in setting.above]
        self._gateway.above = [*self._gateway.above, *section.above, *above, *section.below]
        key = "file" if section.kind == "unix_http_server" else "port"
        try:
            secret = self._secret(section)
            if key == "file":
                self._unix(section, secret)
            else:
                self._tcp(section, secret)
        except _Unusable as error:
            notes = self._keys.notes(section, error.key)
            notes.warn_lossy(f"not served: {error}")
            return
        if secret is not None:
            self._add_user(section, secret)
        self._keys.notes(section).todo(
            "for supervisorctl, XML-RPC and the web page: pip install 'supervisor-lite[gateway]', "
            "whose gateway the daemon runs by itself; slctl has a socket of its own"
        )

    def _secret(self, section: Section) -> _Secret | None:
        """Return name and password of a server, None if it had none.

        Raises _Unusable if something is set that cannot be taken over: it would be served without.
        """
        given = [key for key in ("username", "password") if key in section.settings]
        if not given:
            return None
        if len(given) == 1:
            raise _Unusable(given[0], f"Supervisor refuses one without the other: {_PASSWORDS}")
        name, password = (self._known(section, key) for key in given)
        if not name and not password:
            return None
        if not name or not password:
            empty = "password" if name else "username"
            raise _Unusable(empty, f"it is empty: {_PASSWORDS}")
        if not is_user_name(name):
            raise _Unusable("username", f"{USER_NAME_RULE} here: {_PASSWORDS}")
        if password.startswith("{SHA}"):
            text = f"only the hash of the password is known, which is of another kind: {_PASSWORDS}"
            raise _Unusable("password", text)
        return _Secret(name, password)

    def _known(self, section: Section, key: str) -> str:
        """Return a value that holds no variable. Raises _Unusable."""
        pieces: list[str] = []
        try:
            text = hide(section.text(key) or "", pieces)
        except PercentError as error:
            raise _Unusable(key, f"{error}: {_PASSWORDS}") from None
        if pieces:
            variables = ", ".join(dict.fromkeys(pieces))
            raise _Unusable(key, f"it cannot be taken from elsewhere by {variables}: {_PASSWORDS}")
        return text

    def _add_user(self, section: Section, secret: _Secret) -> None:
        """Let somebody in."""
        before = dict(self._users)
        known = self._users.setdefault(secret.name, secret.password)
        notes = self._keys.notes(section, "username")
        if known != secret.password:
            text = f'"{secret.name}" has another password elsewhere, which now is good for both'
            notes.warn_lossy(text)
        elif before and secret.name not in before:
            notes.warn_lossy("each user of one server may use all of them here")

    def _unix(self, section: Section, secret: _Secret | None) -> None:
        """Listen on a Unix socket, and let those use slctl who could use supervisorctl."""
        address = self._file(section)
        mode = self._mode(section)
        owner, _, group = (self._path_like(section, "chown") or "").partition(":")
        permissions = (mode, owner, group)
        if self._permissions not in (None, permissions):
            text = "the Unix sockets of one [gateway] have one owner and mode, those of the first"
            raise _Unusable("chmod" if "chmod" in section.settings else "file", text)
        self._permissions = permissions
        self._listen.append(address)
        setting, lines = section.settings.get("chmod"), self._gateway.lines
        if setting is not None:
            lines["socket_mode"] = Line(f"{mode:04o}", beside=setting.beside)
        if owner:
            lines["socket_owner"] = Line(owner)
        if group:
            lines["socket_group"] = Line(group)
        if secret is not None:
            lines["socket_password"] = Line(True)
        else:
            self._admit(section, mode, owner, group)
        self._secrets.add(secret)
        if None in self._secrets and len(self._secrets) > 1:
            text = "Unix sockets ask all for a password here, or none: all do"
            self._keys.notes(section, "file").warn_lossy(text)

    def _tcp(self, section: Section, secret: _Secret | None) -> None:
        """Listen on a TCP port."""
        text = self._path_like(section, "port")
        if not text:
            raise _Unusable("port", "Supervisor refuses a server without a port")
        host, colon, port = text.rpartition(":")
        if not colon:
            host, port = "", text
        address = f"http://{host.lower() or '*'}:{port}"
        if secret is None:
            text = f'"{address}" cannot be in listen of [gateway] without a password: {_PASSWORDS}'
            raise _Unusable("port", text)
        self._listen.append(address)

    def _file(self, section: Section) -> str:
        """Return the address of a Unix socket. Raises _Unusable."""
        path = self._path_like(section, "file")
        if not path:
            raise _Unusable("file", "Supervisor refuses a server without a file")
        path = os.path.expanduser(path)
        if path.startswith("~"):
            raise _Unusable("file", f"there is no home directory for {path}")
        if not path.startswith(("/", "%(")):
            path = os.path.normpath(os.path.join(escaped(self._keys.base), path))
        if len(os.fsencode(path)) > 107:
            raise _Unusable("file", "the path of a socket may have 107 bytes")
        return f"unix://{path}"

    def _mode(self, section: Section) -> int:
        """Return the mode of a Unix socket. Raises _Unusable."""
        try:
            return int(section.text("chmod") or "0700", 8) & 0o777
        except ValueError:
            text = "Supervisor refuses this: it wants an octal number"
            raise _Unusable("chmod", text) from None

    def _admit(self, section: Section, mode: int, owner: str, group: str) -> None:
        """Make who could control Supervisor by the socket's mode an admin."""
        lines: dict[str, Toml] = {}
        if owner not in ("", "0", "root") and mode & 0o200:
            lines["users"] = [owner]
            self._daemon.lines["socket_owner"] = Line(owner)
        if group and mode & 0o020:
            lines["groups"] = [group]
            self._daemon.lines["socket_group"] = Line(group)
        if mode & 0o002:
            self._keys.notes(section, "chmod").warn_lossy(
                "everybody on the machine could use supervisorctl; slctl only obeys root, the "
                "daemon's user and whom [[access]] names"
            )
        if lines and not self._access:
            self._daemon.lines["socket_mode"] = Line(f"{mode & 0o660:04o}")
            admin = {"role": Line("admin"), **{key: Line(value) for key, value in lines.items()}}
            self._access = [TomlTable(("access",), admin, listed=True)]

    def _path_like(self, section: Section, key: str) -> str | None:
        """Return a value that may hold expansions. Raises _Unusable."""
        text = section.text(key)
        if text is None:
            return None
        try:
            return v.expansions(text.strip(), self._keys.context(section, key, _NAMES))
        except PercentError as error:
            raise _Unusable(key, str(error)) from None
