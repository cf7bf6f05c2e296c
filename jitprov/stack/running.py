"""A stack that is up: where everything is, how it stands, and staying until told to go. Starts and stops nothing."""

from __future__ import annotations

import shlex
import threading
from dataclasses import dataclass
from pathlib import Path

from jitprov.errors import ConfigurationError
from jitprov.sandbox.control_client import SandboxControl
from jitprov.settings import Settings
from jitprov.stack.parts import SandboxPlan
from jitprov.stack.ports import reachable_host
from jitprov.stack.supervisor import Supervisor

_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that is up.

    Attributes:
        settings: Complete settings of its parts: real ports, keys, addresses.
        logs: Folder with one log a part.
        shell_file: Sets the same settings in another shell; readable by this user alone.
        generated: Names of settings whose value is a generated key.
        supervisor: Keeps it up.
    """

    settings: Settings
    logs: Path
    shell_file: Path
    generated: frozenset[str]
    supervisor: Supervisor
    _plan: SandboxPlan | None

    @property
    def sandbox(self) -> SandboxControl:
        """A client of the sandbox' control port.

        Raises:
            ConfigurationError: The stack works on a real organization.
        """
        if self._plan is None:
            raise ConfigurationError("this stack has no sandbox: it works on the organization of JITPROV_CLIENT_ID")
        return SandboxControl(self._plan.control_url)

    def addresses(self) -> list[tuple[str, str]]:
        """Return where everything is, as pairs of name and value; generated keys in the clear, for their operator."""
        chosen = self.settings
        receiver = f"http://{reachable_host(chosen.receiver_host)}:{chosen.receiver_port}"
        flower = f"http://{reachable_host(chosen.flower_host)}:{chosen.flower_port}"
        pairs = [
            ("webhook", f"{receiver}/events"),
            (f"  {chosen.webhook_header}", self._key("webhook_key")),
            ("board", f"{receiver}/"),
            ("  operator key", self._key("operator_key")),
            ("  viewer key, to look", self._key("viewer_key")),
            ("Flower", flower),
            ("  any name, and as password", "a key of the board"),
            ("Genesys Cloud", chosen.api_base_url if self._plan is None else f"a sandbox: {self._plan.api_url}"),
        ]
        if self._plan is not None:
            pairs.append(("  steered at", self._plan.control_url))
        return [*pairs, ("logs", str(self.logs)), ("in another shell", f". {shlex.quote(str(self.shell_file))}")]

    def _key(self, name: str) -> str:
        value: str = getattr(self.settings, name).get_secret_value()
        return value if name in self.generated else "as you have set it"

    def check(self) -> None:
        """Return when all parts are up or on their way.

        Raises:
            DependencyDown: A part ends again and again, or nothing is watched any more.
        """
        self.supervisor.check()

    def wait(self) -> None:
        """Stay until Ctrl-C, SIGTERM or the terminal's end; parts that end are started again all the while.

        Raises:
            DependencyDown: Nothing is watched any more.
        """
        pause = threading.Event()
        try:
            while True:
                self.supervisor.check_watching()
                pause.wait(_LOOK_EVERY_S)
        except KeyboardInterrupt:
            return
