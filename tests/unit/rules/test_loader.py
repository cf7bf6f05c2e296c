"""rules.yaml from bytes: every fault with its line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_profile
from jitprov.errors import ConfigurationError
from jitprov.rules.document import BYTES_MAX
from jitprov.rules.loader import SHIPPED, load_rules, parse_rules

GOOD = b"""\
version: 1
unmatched: defaults
defaults:
  skills:
    Basic: 1
rules:
  - name: Retail
    when: {department: Retail}
    skills:
      Orders: 2
      Basic: 3
  - name: Tech
    skills:
      - name: Repairs
        proficiency: 4.5
"""


def faults(raw: bytes) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_rules(raw)
    return str(caught.value).splitlines()


def test_skill_names_come_with_the_line_at_which_they_first_stand() -> None:
    """Each skill has the line of its first place, in the mapping form and in the list form."""
    assert parse_rules(GOOD).skill_names() == {"Basic": 5, "Orders": 10, "Repairs": 14}


def test_the_shipped_rules_are_read_without_a_path() -> None:
    """Without a path the shipped rules are in force, their lines right."""
    lines = SHIPPED.read_text().splitlines()

    for name, line in load_rules().skill_names().items():
        assert name in lines[line - 1]


def test_the_version_follows_the_contents(tmp_path: Path) -> None:
    """The same bytes have the same version wherever they lie; one byte more makes another."""
    (tmp_path / "rules.yaml").write_bytes(GOOD)

    assert load_rules(tmp_path / "rules.yaml").rules_version == parse_rules(GOOD).rules_version
    assert parse_rules(GOOD + b"\n").rules_version != parse_rules(GOOD).rules_version
    assert len(parse_rules(GOOD).rules_version) == 12


def test_a_byte_order_mark_is_no_fault() -> None:
    """A file that some editors begin with a mark is read all the same."""
    assert parse_rules(b"\xef\xbb\xbf" + GOOD).wanted_for(a_profile(department="Retail")).rules == ("Retail",)


def test_every_fault_is_named_with_its_line() -> None:
    """All faults are told at once, in the order of the file, each with place, cause and what is expected."""
    assert faults(
        b"""\
version: 1
matsch: first
rules:
  - name: Retail
    when:
      departmnt: x
      title: 2024
      division:
      email_domain: NO
    skills:
      Foo: 7
      Bar: true
      Baz: .inf
    phone: maybe
  - skills:
      - name: A
        proficiency: 9
      - proficiency: 1
      - B
    mode: add
  - name: ""
    skills: 5
    nonsense: 1
"""
    ) == [
        "rules.yaml:2: matsch: is not known here; did you mean match?",
        "rules.yaml:6: rules[0].when.departmnt: is not known here; did you mean department?",
        "rules.yaml:7: rules[0].when.title: must be text; put it in quotes, got 2024",
        'rules.yaml:8: rules[0].when.division: is empty; write "" for agents without one, or remove the line',
        "rules.yaml:9: rules[0].when.email_domain: must be text; put it in quotes, got False",
        "rules.yaml:11: rules[0].skills.Foo: proficiency must be 0.0 to 5.0, got 7",
        "rules.yaml:12: rules[0].skills.Bar: proficiency must be a number, got True",
        "rules.yaml:13: rules[0].skills.Baz: proficiency must be 0.0 to 5.0, got inf",
        "rules.yaml:14: rules[0].phone: must be true or false, got 'maybe'",
        "rules.yaml:15: rules[1].name: is missing",
        "rules.yaml:17: rules[1].skills[0].proficiency: must be 0.0 to 5.0, got 9",
        "rules.yaml:18: rules[1].skills[1].name: is missing",
        "rules.yaml:19: rules[1].skills[2]: must be a mapping, got 'B'",
        "rules.yaml:20: rules[1].mode: must be 'merge' or 'replace', got 'add'",
        "rules.yaml:21: rules[2].name: must not be empty",
        (
            "rules.yaml:22: rules[2].skills: must be a mapping of names to proficiencies, "
            "or a list of {name, proficiency}, got 5"
        ),
        (
            "rules.yaml:23: rules[2].nonsense: is not known here; known: skills, languages, utilization, division, "
            "roles, groups, queues, name, when, mode, phone, priority"
        ),
    ]


def test_faults_of_what_rules_can_give_are_named() -> None:
    """Languages, utilization, roles, groups, queues and tests have their own faults, with their lines."""
    assert faults(
        b"""\
version: 1
rules:
  - name: Retail
    languages:
      French: 6
    utilization:
      call: -1
      fax: 1
      chat: {capacity: 101, interruptable: [call]}
      email: {capacity: 1, interruptible: [fax]}
    division: 7
    roles:
      - {name: Supervisor, divisons: [Home]}
    groups: Floor
    queues: [A, A]
tests:
  - name: t
    profile: {departmnt: x}
    expect: {skils: {}}
"""
    ) == [
        "rules.yaml:5: rules[0].languages.French: proficiency must be 0.0 to 5.0, got 6",
        "rules.yaml:7: rules[0].utilization.call: must be 0 to 100, got -1",
        "rules.yaml:8: rules[0].utilization.fax: must be 'call', 'callback', 'chat', 'email' or 'message', got 'fax'",
        "rules.yaml:9: rules[0].utilization.chat.capacity: must be 0 to 100, got 101",
        "rules.yaml:9: rules[0].utilization.chat.interruptable: is not known here; did you mean interruptible?",
        (
            "rules.yaml:10: rules[0].utilization.email.interruptible[0]: "
            "must be 'call', 'callback', 'chat', 'email' or 'message', got 'fax'"
        ),
        "rules.yaml:11: rules[0].division: must be text; put it in quotes, got 7",
        "rules.yaml:13: rules[0].roles[0].divisions: is missing",
        "rules.yaml:13: rules[0].roles[0].divisons: is not known here; did you mean divisions?",
        "rules.yaml:14: rules[0].groups: must be a list, got 'Floor'",
        "rules.yaml:15: rules[0].queues: A is named 2 times; name it once",
        "rules.yaml:18: tests[0].profile.departmnt: is not known here; did you mean department?",
        "rules.yaml:19: tests[0].expect.skils: is not known here; did you mean skills?",
    ]


def test_faults_of_the_whole_are_named_too() -> None:
    """What is wrong between rules is told like any other fault."""
    assert faults(b"version: 1\nrules:\n  - name: A\n    mode: replace\n") == [
        "rules.yaml:1: rule A would strip agents of all skills (mode replace, no skills); name at least one"
    ]
    assert faults(b"- 1") == ["rules.yaml:1: must be a mapping, got a list"]


def test_a_flood_of_faults_is_cut() -> None:
    """Of more than twenty faults the first twenty are told, and how many more there are."""
    told = faults(b"version: 1\nrules: [{name: A}]\n" + b"".join(b"x%d: 1\n" % number for number in range(25)))

    assert len(told) == 21
    assert told[-1] == "and 5 more"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "rules.yaml: empty"),
        (b"# only a comment", "rules.yaml: empty"),
        (b"a: 1\nb:\n  c: 1\n  c: 2", "rules.yaml:4: not valid YAML: c stands twice here, first in line 3"),
        (b"1: a\n'1': b", "rules.yaml:2: not valid YAML: 1 stands twice here"),
        (b"a: &x 1\nb: *x", "rules.yaml:2: not valid YAML: anchors and aliases are refused"),
        (b"[" * 5000, "rules.yaml:1: not valid YAML: nested too deeply"),
        (b"x: !!python/object/apply:os.system [ls]", "rules.yaml:1: not valid YAML: tags are refused"),
        (b"x: !!python/name:os.system ls", "rules.yaml:1: not valid YAML: could not determine"),
        (b"x: !!set {a}", "rules.yaml:1: not valid YAML: tags are refused"),
        (b"? [a]\n: 1", "rules.yaml:1: not valid YAML: a key must be plain text"),
        (b"a: 1\nx: 2024-13-45", "rules.yaml:2: not valid YAML: not a value YAML knows; put it in quotes"),
        (b"x: " + b"9" * 5000, "rules.yaml:1: not valid YAML: not a value YAML knows; put it in quotes"),
        (b"a: b: c", "rules.yaml:1: not valid YAML: "),
        (b"a: 1\n---\nb: 2", "rules.yaml:2: not valid YAML: "),
        (b"a: \x00", "rules.yaml: not valid YAML: "),
        (b"\xff\xfea", "rules.yaml: not UTF-8 (byte 0)"),
        (b"#" * (BYTES_MAX + 1), "rules.yaml: larger than 256 KiB"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(raw: bytes, said: str) -> None:
    """Broken, doubled, unfolding, tagged, deep, foreign and huge files are refused with line and cause."""
    assert faults(raw)[0].startswith(said)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and a folder are told apart from a wrong one, with the setting to mend."""
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(ConfigurationError, match=r"cannot be read .*JITPROV_RULES_FILE"):
            load_rules(path)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Whatever the bytes are, the answer is rules or a ConfigurationError."""
    with suppress(ConfigurationError):
        parse_rules(raw)


@given(st.lists(st.integers(0, len(GOOD) - 1), min_size=1, max_size=4), st.binary(min_size=1, max_size=3))
def test_a_damaged_file_is_read_or_refused(places: list[int], other: bytes) -> None:
    """A good file damaged anywhere is read or refused, never a crash."""
    raw = bytearray(GOOD)
    for place in places:
        raw[place : place + 1] = other
    with suppress(ConfigurationError):
        parse_rules(bytes(raw))
