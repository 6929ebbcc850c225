"""What is made of what: every part of the daemon, connected. Nothing has begun yet.

The order below is that of who needs whom. What happens in which order when the daemon starts is in
recovery.py, and at its end in shutdown.py.
"""

from __future__ import annotations

import asyncio

from supervisor_lite.control.configured import OwnConfiguration
from supervisor_lite.control.methods.daemon import DaemonControls
from supervisor_lite.control.methods.table import method_table
from supervisor_lite.control.server import ControlServer
from supervisor_lite.controllers.event_listeners.on_demand import EventListenersOnDemand
from supervisor_lite.controllers.exit_when import ExitCondition
from supervisor_lite.controllers.memory_limit import MemoryLimit
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.clock import Clock
from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.operations import Operations
from supervisor_lite.core.out_of_use import OutOfUse
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.daemon.denials import Denials
from supervisor_lite.daemon.finish import Finish
from supervisor_lite.daemon.gateway_link import GatewayLink
from supervisor_lite.daemon.kept_code import KeptCode
from supervisor_lite.daemon.last_known import ConfigurationKeeper
from supervisor_lite.daemon.log import ErrorLog, log_change
from supervisor_lite.daemon.own_files import OwnFiles, spare_dir
from supervisor_lite.daemon.reload import Reload
from supervisor_lite.daemon.resources import Resources
from supervisor_lite.daemon.shutdown import Shutdown
from supervisor_lite.daemon.signals import SignalHandlers
from supervisor_lite.daemon.systemd import Readiness
from supervisor_lite.daemon.tasks import BackgroundTasks
from supervisor_lite.daemon.upgrade import Upgrade
from supervisor_lite.host.cgroups import open_cgroups
from supervisor_lite.host.secrets.for_run import RunSecrets
from supervisor_lite.host.socket_set import SocketSet
from supervisor_lite.host.spawn import Spawner
from supervisor_lite.model.change import Change


class App:
    """The parts of one daemon. Made inside of its event loop."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.loop = asyncio.get_running_loop()
        self.errors = ErrorLog(resources.log)
        self._make_engine()
        self._make_controllers()
        self._make_life()
        self._make_server()

    def _make_engine(self) -> None:
        resources, settings, log = self.resources, self.resources.settings, self.resources.log
        self.bus = Bus(self.loop)
        self.bus.subscribe(Change, lambda change: log_change(log, change))
        self.gateway = GatewayLink(resources, self.bus)
        self.cgroups = open_cgroups(settings.cgroups, resources.journal.instance, log.warning)
        self.sockets = SocketSet(resources.notifier.store, resources.notifier.unstore)
        self.secrets = RunSecrets(settings.runtime_dir, log.warning)
        self.supervisor = Supervisor(
            EngineContext(
                loop=self.loop,
                clock=Clock(),
                journal=resources.journal,
                spawner=Spawner(resources.descriptors),
                cgroups=self.cgroups,
                sockets=self.sockets,
                secrets=self.secrets,
                runtime_dir=settings.runtime_dir,
                environment=self.gateway.environment,
                report=log.warning,
                store=resources.notifier.store,
                unstore=resources.notifier.unstore,
                spare_dir=spare_dir(settings),
                restore=lambda: self.own_files.restore(),
            ),
            self.bus,
        )
        self.operations = Operations(self.supervisor, self.bus)
        self.gateway.processes = self.supervisor.processes

    def _make_controllers(self) -> None:
        resources, settings, log = self.resources, self.resources.settings, self.resources.log
        self.listeners = EventListenersOnDemand(
            self.supervisor, self.bus, identifier=settings.identifier, warn=log.warning,
            error=log.error,
        )  # fmt: skip
        self.memory_limit = MemoryLimit(self.supervisor, self.bus, self.loop)
        self.rollout = Rollout(
            self.supervisor, self.operations, resources.read, resources.configuration,
            OutOfUse(self.supervisor, resources.journal.unused_groups, log.info),
        )  # fmt: skip
        self.keeper = ConfigurationKeeper(
            self.bus, resources.journal, resources.config, resources.configuration
        )

    def _make_life(self) -> None:
        resources, settings, log = self.resources, self.resources.settings, self.resources.log
        tasks = BackgroundTasks(self.errors.bug)
        self.readiness = Readiness(self.loop, resources.notifier, self.supervisor)
        self.shutdown = Shutdown(
            self.supervisor, self.operations, self.bus, resources.journal, resources.notifier, log,
            tasks,
        )  # fmt: skip
        self.exit_condition = ExitCondition(
            settings.exit_when, self.supervisor, self.bus, self.shutdown.on_exit_condition
        )
        self.reload = Reload(self.supervisor, self.rollout, self.bus, self.readiness, log)
        self.finish = Finish(self.supervisor, self.operations, self.rollout, log, tasks)
        self.kept_code = KeptCode(self.loop, settings.state_dir)
        self.upgrade = Upgrade(
            resources,
            self.supervisor,
            self.sockets,
            self.listeners,
            self.kept_code,
            self.rollout,
        )
        self.own_files = OwnFiles(
            self.loop, settings, resources.config, resources.locks, resources.sock,
            resources.journal, log, lambda sock: self.server.serve(sock),
        )  # fmt: skip
        self.signals = SignalHandlers(
            self.loop, self.supervisor, self.shutdown, self.reload, resources.notifier, log,
            resources.log_target, tasks, self.own_files, nohup=resources.inherited.nohup,
        )  # fmt: skip

    def _make_server(self) -> None:
        resources, settings = self.resources, self.resources.settings
        methods = method_table(
            self.supervisor,
            self.operations,
            self.rollout,
            resources.journal,
            lambda: resources.log_target.file,
            DaemonControls(
                settings.identifier,
                self.reload.reload,
                self.shutdown.request,
                self.upgrade.run,
                lambda: resources.log_target.lost,
                lambda text, by: resources.log.info(text, by=by),
                resources.inherited.failed,
            ),
            self.gateway.user,
        )
        denials = Denials(self.loop, resources.log.warning)
        self.server = ControlServer(
            methods.get, settings.access, self.errors.bug, denials.note, resources.log.error,
            OwnConfiguration(resources.config, resources.configuration.files),
            self.gateway.own_role,
        )  # fmt: skip

    def close(self) -> None:
        """Stop everything that is ours; no process is touched. The resources stay open."""
        self.signals.ignore()
        self.own_files.close()
        self.server.close()
        self.supervisor.close()
        self.cgroups.close()
