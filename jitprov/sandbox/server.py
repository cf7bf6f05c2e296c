"""Runs the sandbox: as a coroutine, as a blocking process, or in a thread beside a test.

One loop serves both ports, so that state needs no lock. Refuses to bind anything but the two ports asked for.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Callable
from typing import Self

from aiohttp import web

from jitprov.sandbox.control_app import Control
from jitprov.sandbox.control_client import SandboxControl
from jitprov.sandbox.gateway import Gateway
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.session import Session
from jitprov.sandbox.webhook import Webhook

Announce = Callable[[str, int, int], None]
_START_TIMEOUT_S = 30.0
_SHUTDOWN_TIMEOUT_S = 0.2


class Sandbox:
    """One stand-in Genesys Cloud on two ports."""

    def __init__(self, options: SandboxOptions) -> None:
        """Prepare; nothing listens before `start`."""
        self._options = options
        self._runners: list[web.BaseRunner] = []
        self._control: Control | None = None
        self.port = 0
        self.control_port = 0

    async def start(self) -> None:
        """Listen on both ports.

        Raises:
            OSError: A port is taken; nothing listens.
        """
        options = self._options
        gateway = Gateway(Session.begin(options, options.seed))
        self._control = Control(gateway, Webhook(lambda: gateway.session.world.options, options.seed))
        data = web.ServerRunner(
            web.Server(gateway.handle, access_log=None, keepalive_timeout=75.0), handle_signals=False
        )
        control = web.AppRunner(self._control.application(), access_log=None, handle_signals=False)
        try:
            self.port = await self._listen(data, options.port)
            self.control_port = await self._listen(control, options.control_port)
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening, cut what is under way, give up deliveries."""
        if self._control is not None:
            await self._control.webhook.close()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _listen(self, runner: web.BaseRunner, port: int) -> int:
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, self._options.host, port, backlog=1024)
        await site.start()
        address: tuple[str, int] = runner.addresses[0]
        return address[1]


class SandboxThread:
    """A sandbox with a loop and a thread of its own, for as long as a `with` block lasts."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        """Prepare; the thread starts on entering."""
        self._options = options or SandboxOptions()
        self._sandbox = Sandbox(self._options)
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._control: SandboxControl | None = None

    @property
    def base_url(self) -> str:
        """The address of API and login."""
        return f"http://{self._options.host}:{self._sandbox.port}"

    @property
    def control_url(self) -> str:
        """The address of the control port."""
        return f"http://{self._options.host}:{self._sandbox.control_port}"

    @property
    def control(self) -> SandboxControl:
        """A client of the control port."""
        if self._control is None:
            self._control = SandboxControl(self.control_url)
        return self._control

    def __enter__(self) -> Self:
        """Start and wait until both ports listen.

        Raises:
            OSError: A port is taken.
        """
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S):
            message = "the sandbox did not start in time"
            raise TimeoutError(message)
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and wait for the thread."""
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._sandbox.start()
        except OSError as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        await self._stopping.wait()
        await self._sandbox.stop()


def serve(options: SandboxOptions, announce: Announce | None = None) -> None:
    """Run until SIGINT or SIGTERM, then stop cleanly.

    Args:
        options: How the organization behaves.
        announce: Called once both ports listen, with host, data port and control port.

    Raises:
        OSError: A port is taken.
    """
    asyncio.run(_serve(options, announce))


async def _serve(options: SandboxOptions, announce: Announce | None) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    sandbox = Sandbox(options)
    await sandbox.start()
    # What is there now stays. A look through it for garbage takes 0.2 s, after which all that came meanwhile comes at
    # once: a client that keeps the limit would be accused.
    gc.collect()
    gc.freeze()
    try:
        if announce is not None:
            announce(options.host, sandbox.port, sandbox.control_port)
        await stopping.wait()
    finally:
        await sandbox.stop()
