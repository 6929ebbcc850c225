"""All methods of the control socket in one table, each bound to what it needs."""

from __future__ import annotations

from collections.abc import Callable

from supervisor_lite.control.methods import (
    configuration,
    daemon,
    history,
    output,
    processes,
    supervisor_compat,
)
from supervisor_lite.control.methods.daemon import DaemonControls
from supervisor_lite.control.request import Handler
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.operations import Operations
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.store.journal import Journal


def method_table(
    supervisor: Supervisor,
    operations: Operations,
    rollout: Rollout,
    journal: Journal,
    main_log: Callable[[], LogFile | None],
    controls: DaemonControls,
    gateway_user: Callable[[], str | None],
) -> dict[str, Handler]:
    """Return what answers each method. `main_log` returns the daemon's own log, if it has one.

    `gateway_user` returns whom `[gateway]` says that the gateway becomes.
    """
    return {
        **processes.method.of(processes.ProcessMethods(supervisor, operations, rollout)),
        **configuration.method.of(configuration.ConfigurationMethods(rollout)),
        **daemon.method.of(daemon.DaemonMethods(supervisor, rollout, controls)),
        **output.method.of(output.OutputMethods(supervisor, main_log)),
        **history.method.of(history.HistoryMethods(supervisor, journal)),
        **supervisor_compat.method.of(
            supervisor_compat.CompatMethods(
                supervisor, rollout, main_log, gateway_user, controls.note
            )
        ),
    }
