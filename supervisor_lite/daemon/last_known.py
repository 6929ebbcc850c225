"""The configuration that was last in force, when that on disk cannot be used.

A typo that nobody had applied yet must not take what runs away from its supervisor: a daemon that
finds a broken configuration, and in the journal something that goes on, works with what the
journal has, says so, and takes up the configuration when it is mended (SIGHUP, `slctl update`).
Where nothing goes on, as at a first start or after a reboot, a broken configuration is an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.topics import GatewayInForce, GroupsChanged
from supervisor_lite.host.identity import this_world
from supervisor_lite.model.known_configuration import KnownConfiguration, KnownGroup
from supervisor_lite.model.plan import Configuration, Group, Plan
from supervisor_lite.model.program import Program
from supervisor_lite.protocol import directories, locate
from supervisor_lite.protocol.home import NoHomeError
from supervisor_lite.store.journal import Journal
from supervisor_lite.store.peek import Peeked, peek
from supervisor_lite.takeover.other_world import is_other_world


class ConfigurationKeeper:
    """Has the journal know the configuration that is in force."""

    def __init__(
        self, bus: Bus, journal: Journal, config: str, configuration: Configuration
    ) -> None:
        self._journal = journal
        self._known = KnownConfiguration(config, configuration.settings)
        self._take_gateway(GatewayInForce(configuration.gateway, None))
        bus.subscribe(GatewayInForce, self._take_gateway)
        bus.subscribe(GroupsChanged, lambda change: self._keep(change.after))

    def _take_gateway(self, change: GatewayInForce) -> None:
        gateway = change.gateway
        if gateway is not None:
            users = tuple(user._replace(password_hash="") for user in gateway.users)
            gateway = gateway._replace(users=users)
        self._known = self._known._replace(gateway=gateway)

    def _keep(self, groups: Mapping[str, Group]) -> None:
        known = tuple(
            KnownGroup(
                group.name, group.priority, group.events, group.buffer_size,
                tuple(program.fullname for program in group.processes),
            )
            for group in groups.values()
        )  # fmt: skip
        self._journal.keep_configuration(self._known._replace(groups=known))


def last_known(config: str | None) -> Configuration | None:
    """Return the configuration that the journal has for this path; None if nothing goes on."""
    try:
        path = locate.absolute_config(config)
    except locate.ForeignPathError:
        return None
    if path is None:
        return None
    try:
        state_dir = _state_dir(path)
    except NoHomeError:
        return None
    found = peek(os.path.join(state_dir, "journal.db"), lambda text: None)
    if found is None or not _goes_on(found):
        return None
    known = found.configuration
    if not directories.same(known.config, path) or known.settings.state_dir != state_dir:
        return None  # of another project
    programs = {process.name: process.program for process in found.processes}
    groups = {group.name: _group(group, programs) for group in known.groups}
    return Configuration(known.settings, Plan(groups), known.gateway, (path,))


def _state_dir(path: str) -> str:
    try:
        return locate.find_state_dir(path)
    except (OSError, ValueError):
        directory = locate.default_state_dir()
        return directory + locate.mark_of(directory, path)


def _goes_on(found: Peeked) -> bool:
    """Is something alive, or was something to be up, here and now?"""
    if is_other_world(found.world, this_world(), found.runs):
        return False
    records = [process.record for process in found.processes]
    return found.is_pending or any(r.wanted or r.pid is not None or r.leftovers for r in records)


def _group(known: KnownGroup, programs: Mapping[str, Program]) -> Group:
    processes = tuple(programs[name] for name in known.processes if name in programs)
    return Group(known.name, known.priority, processes, known.events, known.buffer_size)
