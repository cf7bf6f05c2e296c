from __future__ import annotations

from collections.abc import Iterator

import flower
import flower.app
import flower.urls
import pytest
from flower.views import BaseHandler
from flower.views.tasks import TaskView
from tornado.web import RequestHandler

from jitprov.errors import ConfigurationError
from jitprov.flower import extension
from jitprov.flower.guarded import Guarded
from jitprov.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Flower keeps its handlers in a list of its module: what a test puts there goes again."""
    handlers = list(flower.urls.handlers)
    yield
    flower.urls.handlers[:] = handlers
    flower.urls.settings.pop("template_loader", None)


def some_settings() -> Settings:
    return read_settings(operator_key="o" * 40, viewer_key="v" * 40)


def test_the_installed_flower_is_the_one_that_jitprov_knows() -> None:
    """Whoever raises Flower's version learns here what it builds otherwise, before an operator does."""
    assert extension.differences() == []


def test_everything_is_behind_the_door() -> None:
    """Every handler of Flower's is wrapped but the health check and static files, and ours comes first."""
    before = len(flower.urls.handlers)
    extension.install(some_settings())
    specs = [extension._taken_apart(spec) for spec in flower.urls.handlers]

    assert len(specs) == before + 1
    assert specs[0][3] == "retry-chain"
    assert {pattern for pattern, handler, _, _ in specs if not issubclass(handler, Guarded)} == {
        "/healthcheck$",
        "/static/(.*)$",
    }
    assert [name for _, _, _, name in specs if name == "task"] == ["task"]


def test_only_the_retry_and_the_valve_act_and_only_for_operators() -> None:
    """Of all handlers two let something be done, and that for the operator's key alone."""
    extension.install(some_settings())
    handlers = [extension._taken_apart(spec)[1] for spec in flower.urls.handlers]
    acting = {handler.__name__: set(getattr(handler, "acts_as", ())) for handler in handlers}

    assert {name: roles for name, roles in acting.items() if roles} == {
        "RetryPage": {"operator"},
        "ValveAct": {"operator"},
    }
    assert [handler.__name__ for handler in handlers if getattr(handler, "looks_by_post", False)] == ["TasksDataTable"]


class _Bare(RequestHandler):
    pass


class _Second(BaseHandler):  # type: ignore[misc]
    pass


def _a_handler_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    flower.urls.handlers.insert(0, ("/new", _Bare))


def _a_second_task_page(monkeypatch: pytest.MonkeyPatch) -> None:
    flower.urls.handlers.insert(0, ("/tasks/(.+)", TaskView))


def _nothing_that_takes_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    flower.urls.handlers.append(("/more", _Second))


def _another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower, "__version__", "2.3.0")


def _another_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower.app, "default_handlers", list(flower.urls.handlers))


def _a_page_without_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = extension._templates()
    texts["task.html"] = texts["task.html"].replace("block navbar", "block top")
    monkeypatch.setattr(extension, "_templates", lambda: texts)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (_a_handler_of_another_kind, "every handler is one of its own kind"),
        (_a_second_task_page, "one task page"),
        (_nothing_that_takes_the_rest, "the last handler takes what no other does"),
        (_another_version, "its version is 2.2"),
        (_another_list, "flower.app takes flower.urls.handlers"),
        (_a_page_without_its_block, "task.html has a block navbar"),
    ],
)
def test_a_flower_that_is_built_otherwise_does_not_start(
    monkeypatch: pytest.MonkeyPatch, changed: object, said: str
) -> None:
    """Rather than start open, or without its button, it says what differs and which version to install."""
    changed(monkeypatch)  # type: ignore[operator]
    handlers = list(flower.urls.handlers)

    with pytest.raises(ConfigurationError, match=f"{said}.*flower>=2.2,<2.3"):
        extension.install(some_settings())
    assert flower.urls.handlers == handlers
