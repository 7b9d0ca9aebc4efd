"""What a node is told by files: its settings and its environment, each kept with the logs."""

from contextlib import suppress
from pathlib import Path

from phyemu.errors import ConfigError
from phyemu.node.environment import Environment, EnvironmentFiles
from phyemu.node.events import Asked, Command
from phyemu.node.input_file import read_input
from phyemu.node.layout import NodeLayout
from phyemu.node.node_log import NodeLog
from phyemu.node.radio_conf import RadioConf, load_radio_conf

__all__ = ["NodeInputs"]


class NodeInputs:
    """The files as they were last read, and what of them is new when a script is called."""

    def __init__(self, layout: NodeLayout, log: NodeLog) -> None:
        """Read nothing yet."""
        self._layout, self._log = layout, log
        self._files = EnvironmentFiles(layout)
        self._conf: RadioConf | None = None
        self._conf_content = b""
        self._environment: Environment | None = None

    def configure(self) -> tuple[RadioConf, Environment]:
        """Read everything for a worker that is to be launched.

        Raises:
            FileNotFoundError: There is no radio.conf.
            ConfigError: It holds no settings.
        """
        self._conf_content = read_input(self._layout.radio_conf)
        self._keep(self._layout.radio_conf)
        conf = self._conf = load_radio_conf(self._layout.radio_conf)
        self._read_environment()
        return conf, self._files.over(conf.radio.center_frequency_hz)

    def asked(self, command: Command) -> Asked:
        """Return a command with what its files say."""
        if command is Command.UPDATE_OUTCOMES:
            path = self._layout.outcomes
            try:
                self._log.input(path, read_input(path))
            except FileNotFoundError:
                return Asked(command, problem=f"{path}: no such file")
            except ConfigError as exc:
                return Asked(command, problem=str(exc))
        if command not in (Command.UPDATE_ENVIRONMENT, Command.START):
            return Asked(command)
        if command is Command.START and self._conf is None:
            return Asked(command)  # no worker was told anything: its launch reads it all
        before = self._environment
        problem = self._read_environment()
        changed = self._environment is not None and self._environment != before
        table = self._environment.to_table() if changed and self._environment else None
        if command is Command.START:
            return Asked(command, table, reconfigured=self._is_reconfigured())
        return Asked(command, table, problem)

    def _is_reconfigured(self) -> bool:
        """Return whether radio.conf is another than the last worker's; one that is gone is not."""
        self._keep(self._layout.radio_conf)
        with suppress(ConfigError, FileNotFoundError):
            return read_input(self._layout.radio_conf) != self._conf_content
        return False

    def _read_environment(self) -> str:
        for path in (self._layout.colosseum_config, self._layout.environment):
            self._keep(path)
        problems = self._files.read()
        for problem in problems:
            self._log.event("problem", text=problem)
        if self._conf is not None:
            before = self._environment
            self._environment = self._files.over(self._conf.radio.center_frequency_hz)
            if self._environment != before:
                self._log.event("environment", **self._environment.to_table())
        return "; ".join(problems)

    def _keep(self, path: Path) -> None:
        with suppress(ConfigError, FileNotFoundError):
            self._log.input(path, read_input(path))
