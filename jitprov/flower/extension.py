"""What jitprov makes of Flower: its handlers behind one door, pages of ours, its templates extended by ours.

Flower hands two plain objects to tornado when it is made: the list `flower.urls.handlers` and the mapping
`flower.urls.settings`. Both are filled here, before that, from flowerconfig.py, which Flower reads itself. What this
leans on beyond tornado's own interface is looked at first: a Flower that is built otherwise does not start open, or
without its button, but not at all (docs/decisions/0029).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flower
import flower.app
import flower.options
import flower.urls
from flower.api.control import TaskRateLimit
from flower.views import BaseHandler
from flower.views.monitor import Healthcheck
from flower.views.tasks import TasksDataTable, TaskView
from flower.views.workers import WorkerView
from tornado.routing import URLSpec
from tornado.template import DictLoader
from tornado.web import RequestHandler, StaticFileHandler, url

from jitprov.desk.session import Role
from jitprov.errors import ConfigurationError
from jitprov.flower.board import Board
from jitprov.flower.doorkeeper import Doorkeeper, keys_of
from jitprov.flower.guarded import guarded
from jitprov.flower.pages import RetryPage, TaskPage
from jitprov.flower.valve import ValveAct, WorkerPage
from jitprov.receiver.keyring import Keyring
from jitprov.settings import Settings, files_mark, read_settings
from jitprov.stack.ports import reachable_host

_TEMPLATES = Path(__file__).parent / "templates"
_TASK_ID = "([0-9a-f-]{36})"
# They say nothing: "OK" for whoever watches the process, and the style and script that Flower's package holds.
_OPEN = (Healthcheck, StaticFileHandler)


def install(settings: Settings) -> None:
    """Put Flower behind the board's keys, and add the agent and its *Retry chain* to each task's page.

    Once per process, before Flower's application is made.

    Raises:
        ConfigurationError: There is no key, or this Flower is built otherwise than the one that jitprov knows.
    """
    keys_of(settings)
    wrong = differences()
    if wrong:
        raise ConfigurationError(
            f"flower {flower.__version__} is not built as jitprov knows it ({'; '.join(wrong)}), so it could start "
            'without its lock. Install the version that requirements.lock names: "flower>=2.2,<2.3"'
        )
    # Read again when their files change, as the board does.
    operators = Keyring(lambda: [read_settings().operator_key.get_secret_value()], files_mark)
    viewers = Keyring(lambda: [read_settings().viewer_key.get_secret_value()], files_mark)
    door = Doorkeeper(
        lambda: {Role.OPERATOR: operators.keys(), Role.VIEWER: viewers.keys()},
        forwarded_header=settings.forwarded_header,
    )
    receiver = f"http://{reachable_host(settings.receiver_host)}:{settings.receiver_port}"
    ours = {"board": Board(receiver, door.key_of), "board_url": settings.board_url.rstrip("/") or receiver}
    retry = guarded(RetryPage, door, acts_as=frozenset({Role.OPERATOR}), **ours)
    flower.urls.handlers[:] = [
        url(rf"/task/{_TASK_ID}/retry-chain", retry, name="retry-chain"),
        *(_behind(spec, door, ours) for spec in flower.urls.handlers),
    ]
    flower.urls.settings["template_loader"] = DictLoader(_templates())


def _behind(spec: Any, door: Doorkeeper, ours: dict[str, Any]) -> URLSpec:
    pattern, handler, kwargs, name = _taken_apart(spec)
    if handler in _OPEN:
        return url(pattern, handler, kwargs, name)
    if handler is TaskView:
        return url(pattern, guarded(TaskPage, door, **ours), kwargs, name)
    if handler is WorkerView:
        return url(pattern, guarded(WorkerPage, door), kwargs, name)
    if handler is TaskRateLimit:
        act = guarded(ValveAct, door, acts_as=frozenset({Role.OPERATOR}), board=ours["board"])
        return url(pattern, act, kwargs, "valve")
    return url(pattern, guarded(handler, door, looks_by_post=handler is TasksDataTable), kwargs, name)


def _taken_apart(spec: Any) -> tuple[str, type[RequestHandler], dict[str, Any] | None, str | None]:
    if isinstance(spec, URLSpec):
        return spec.regex.pattern, spec.handler_class, spec.kwargs, spec.name
    pattern, handler, *rest = spec
    return pattern, handler, rest[0] if rest else None, None


def _templates() -> dict[str, str]:
    """Return all templates by name, Flower's and ours; ours have names of their own."""
    folders = (Path(flower.urls.settings["template_path"]), _TEMPLATES)
    return {file.name: file.read_text() for folder in folders for file in sorted(folder.glob("*.html"))}


def differences() -> list[str]:
    """Return what in the installed Flower is not as this room needs it; empty when all is.

    Looks at what would fail in silence: what is missing by name fails at the import above.
    """
    templates = _templates()
    specs = [_taken_apart(spec) for spec in flower.urls.handlers]
    handlers = [handler for _, handler, _, _ in specs]
    needed = {
        "its version is 2.2": flower.__version__.startswith("2.2."),
        "flower.app takes flower.urls.handlers": flower.app.default_handlers is flower.urls.handlers,
        "every handler is one of its own kind": all(
            issubclass(handler, BaseHandler | StaticFileHandler) for handler in handlers
        ),
        "one task page, named task": [name for _, handler, _, name in specs if handler is TaskView] == ["task"],
        "one worker page": handlers.count(WorkerView) == 1,
        "one rate limit of a task": handlers.count(TaskRateLimit) == 1,
        "one table of tasks": handlers.count(TasksDataTable) == 1,
        "one health check": handlers.count(Healthcheck) == 1,
        "the last handler takes what no other does": specs[-1][0].rstrip("$") == ".*",
        "task.html has a block navbar": "{% block navbar %}" in templates.get("task.html", ""),
        "worker.html has a block navbar": "{% block navbar %}" in templates.get("worker.html", ""),
        "base.html has the blocks navbar, container and extra_scripts": all(
            f"{{% block {name} %}}" in templates.get("base.html", "")
            for name in ("navbar", "container", "extra_scripts")
        ),
        "navbar.html takes active_tab": "active_tab" in templates.get("navbar.html", ""),
        "it can be told to change nothing": "read_only" in flower.options.options,
        "it lets tasks be shown in other words": "format_task" in flower.options.options,
    }
    return [f"not so: {what}" for what, holds in needed.items() if not holds]
