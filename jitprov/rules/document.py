"""YAML → plain values and the line of each. Refuses what a rules file has no use for and what could make it a trap.

Refused: keys that stand twice, anchors and aliases (a small file could unfold into a huge one), tags, deep nesting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from jitprov.errors import ConfigurationError

BYTES_MAX = 262_144
_DEPTH_MAX = 16
_PLAIN = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says.

    Attributes:
        value: Mappings, lists and scalars.
        lines: Line of each value, from 1, by its path; indexes as text.
    """

    value: Any
    lines: Mapping[Path, int]

    def line_of(self, path: Path) -> int:
        """Return the line of a value, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Loader(yaml.SafeLoader):
    """Safe loader that stops at aliases and at deep nesting."""

    _depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        here = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are refused; write it out", problem_mark=here)
        if self._depth >= _DEPTH_MAX:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=here)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def read_document(raw: bytes, name: str) -> Document:
    """Read one YAML document.

    Args:
        raw: The file's bytes: UTF-8, at most `BYTES_MAX`.
        name: Of the file, for errors.

    Raises:
        ConfigurationError: Names file, line and cause.
    """
    if len(raw) > BYTES_MAX:
        msg = f"{name}: larger than {BYTES_MAX // 1024} KiB; split the departments over fewer, broader rules"
        raise ConfigurationError(msg)
    try:
        loader = _Loader(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        msg = f"{name}: not UTF-8 (byte {error.start}). Save it as UTF-8"
        raise ConfigurationError(msg) from None
    except yaml.YAMLError as error:
        raise _refused(error, name) from None
    try:
        node = loader.get_single_node()
        if node is None:
            raise ConfigurationError(f"{name}: empty. Start from the shipped rules")
        lines: dict[Path, int] = {}
        return Document(_build(loader, node, (), lines), lines)
    except yaml.YAMLError as error:
        raise _refused(error, name) from None
    finally:
        loader.dispose()


def _refused(error: yaml.YAMLError, name: str) -> ConfigurationError:
    mark = getattr(error, "problem_mark", None)
    where = f"{name}:{mark.line + 1}" if mark else name
    cause = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    return ConfigurationError(f"{where}: not valid YAML: {cause}")


def _build(loader: _Loader, node: Node, path: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, ScalarNode):
        return _scalar(loader, node)
    if node.tag not in _PLAIN:
        raise yaml.MarkedYAMLError(problem="tags are refused", problem_mark=node.start_mark)
    if isinstance(node, SequenceNode):
        return [_build(loader, item, (*path, str(index)), lines) for index, item in enumerate(node.value)]
    built: dict[Any, Any] = {}
    for key_node, value_node in node.value if isinstance(node, MappingNode) else ():
        if not isinstance(key_node, ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key_node.start_mark)
        key = _scalar(loader, key_node)
        here = (*path, str(key))
        if here in lines:
            problem = f"{key} stands twice here, first in line {lines[here]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        lines[here] = key_node.start_mark.line + 1
        built[key] = _build(loader, value_node, here, lines)
    return built


def _scalar(loader: _Loader, node: ScalarNode) -> Any:
    try:
        return loader.construct_object(node)
    except ValueError:
        # A date that no calendar has, a number of thousands of digits.
        raise yaml.MarkedYAMLError(
            problem="not a value YAML knows; put it in quotes", problem_mark=node.start_mark
        ) from None
