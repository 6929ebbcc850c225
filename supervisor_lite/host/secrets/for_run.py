"""The secrets of a run: the variables of its files, and copies of its secrets.

A definition that holds them exists for one spawn only: it is in no table, journal or answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from supervisor_lite.host import users
from supervisor_lite.host.secrets import env_file
from supervisor_lite.host.secrets.credentials import VARIABLE, Credentials
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record

_PAUSE = 0.05
"""Seconds between one part of what is to be removed and the next."""


class RunSecrets:
    """What all runs of one daemon have been given. `report` tells the operator what failed."""

    def __init__(self, runtime_dir: str, report: Callable[[str], None]) -> None:
        self._credentials = Credentials(runtime_dir)
        self._report = report
        self._timer: asyncio.TimerHandle | None = None

    def provide(self, program: Program, run: int) -> Program:
        """Return the definition for one spawn, with what its files hold now. Raises SpawnError."""
        if not program.env_file and not program.credentials:
            return program
        added = env_file.variables(program.env_file)
        if program.credentials:
            uid, gid = users.ids(program.user)
            added[VARIABLE] = self._credentials.provide(run, program.credentials, uid, gid)
        return program._replace(environment={**program.environment, **added})

    def revoke(self, program: Program, run: int) -> None:
        """Remove what a run was given that is over."""
        if program.credentials and (error := self._credentials.remove(run)):
            self._report(f"{program.fullname}: {error}")
        self._plan()

    def tidy(self, records: Iterable[Record]) -> None:
        """Remove what an earlier daemon has given to runs that are over."""
        live = {r.run for r in records if r.pid is not None or r.leftovers}
        for error in self._credentials.tidy({run for run in live if run is not None}):
            self._report(error)
        self._plan()

    def _plan(self) -> None:
        """Go on soon, if there is more to be removed than can be at once."""
        if self._credentials.unfinished and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        run = next(iter(self._credentials.unfinished))
        if error := self._credentials.remove(run):
            self._report(error)
        self._plan()
