"""The configuration on disk, as far as it was read, and whether it has changed since."""

from __future__ import annotations

from collections.abc import Callable

from supervisor_lite import safe_paths
from supervisor_lite.config.freshness import looked_at_again, newer_files
from supervisor_lite.core.topics import GatewayInForce
from supervisor_lite.errors import ConfigError, Diagnostic
from supervisor_lite.model.plan import Configuration, Plan
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.rules import pending_settings


class ConfigurationOnDisk:
    """What was read last, which need not be what is in force."""

    def __init__(self, read: Callable[[], Configuration], configuration: Configuration) -> None:
        """`read` reads it again, and raises ConfigError; `configuration` was read at the start."""
        self.refused = configuration.refused
        """What is wrong with it, as far as it was read last."""
        self.pending_settings: tuple[str, ...] = ()
        """Keys of [daemon] that have changed and need another daemon."""
        self.plan = Plan()
        """What it defines; what was read before if it cannot be used."""
        self.warnings = configuration.warnings
        self.sources = configuration.sources
        self.log_dir = configuration.settings.log_dir
        self.gateway = _gateway_of(configuration)
        self._read = read
        self._settings: DaemonSettings = configuration.settings
        """Those that the daemon works with as long as it lives."""

    def read(self) -> Configuration:
        """Read it again. Raises ConfigError."""
        try:
            configuration = self._read()
        except ConfigError as error:
            self.refused = tuple(map(str, error.diagnostics))
            self.sources = looked_at_again(self.sources)
            raise
        self.refused = ()
        self.pending_settings = pending_settings.pending_settings(
            self._settings, configuration.settings
        )
        self.plan, self.warnings = configuration.plan, configuration.warnings
        self.sources = configuration.sources
        self.log_dir = configuration.settings.log_dir
        self.gateway = _gateway_of(configuration)
        return configuration

    def make_log_dir(self) -> None:
        """Make the directory of logs if it is another than at the start. Raises ConfigError."""
        try:
            safe_paths.make_directories(self.log_dir, 0o750)
        except OSError as error:
            text = f"cannot make this directory: {error.strerror}"
            raise ConfigError([Diagnostic(self.log_dir, 0, "", text)]) from error

    def has_changed(self) -> bool:
        """Has a file been written, made or removed since it was read? A look at every file."""
        return bool(newer_files(self.sources))


def _gateway_of(configuration: Configuration) -> GatewayInForce:
    return GatewayInForce(configuration.gateway, configuration.settings.gateway_group)
