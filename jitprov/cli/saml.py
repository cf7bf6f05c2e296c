"""`saml check` and `saml template`: why is a sign-in refused, or a field empty, and what to configure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, leave, out
from jitprov.errors import AssertionUnreadable, StepError
from jitprov.identity.assertion import BYTES_MAX, Assertion, read_assertion
from jitprov.identity.claims import WARNING, Claim, IdentityProvider, claims_for
from jitprov.identity.findings import Finding, Severity, find_mismatches
from jitprov.identity.mapping import ACTED_ON, Expectations, read_mapping
from jitprov.settings import settings
from jitprov.wiring import RealClock, make_sign_on

_MARKS: dict[Severity, str] = {"error": "[bold red]error[/]", "warning": "[yellow]warning[/]", "note": "[dim]note[/]"}

_app = typer.Typer(help="Single sign-on: what an assertion says, and what it should say.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _app.command("check")(check)
    _app.command("template")(template)
    app.add_typer(_app, name="saml", rich_help_panel="Identity")


def check(
    assertion: Annotated[
        str, typer.Argument(help="File with the XML or the base64 SAMLResponse; - for standard input.")
    ],
    mapping: Annotated[Path | None, typer.Option(help="What you expect: `Field: attribute` lines, or YAML.")] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            help="When it was presented, UTC; now when unset.", formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S"]
        ),
    ] = None,
    organization: Annotated[
        str, typer.Option(help="Your organization's short name, as OrganizationName must say.")
    ] = "",
    provider: Annotated[
        str,
        typer.Option(
            help="Name or id of the identity provider in Genesys Cloud: what it says of issuer, audience and name "
            "identifier format counts. One call."
        ),
    ] = "",
    hide_values: Annotated[bool, typer.Option("--hide-values", help="Print no person's values.")] = False,
    json_: Json = False,
) -> None:
    """List every attribute of an assertion and name each mismatch with its likely cause. Verifies no signature.

    Save the form field SAMLResponse from the browser's network tab, then:

    Example: jitprov saml check response.txt --mapping mapping.yaml --provider "Entra ID"
    """
    try:
        read = read_assertion(_bytes_of(assertion))
    except AssertionUnreadable as error:
        end_with_error(escape(str(error)), Exit.ERROR)
    expected = _expectations(mapping, organization)
    if provider:
        expected = _as_set_up(expected, provider)
    now = at.replace(tzinfo=UTC) if at else datetime.fromtimestamp(RealClock().wall_s(), UTC)
    findings = find_mismatches(read, expected, now=now, exact=at is not None)
    shown = _without_values(read) if hide_values else read
    if json_:
        emit_json("saml_check", assertion=asdict(shown), findings=[asdict(finding) for finding in findings])
    else:
        _print(shown, findings)
    if any(finding.severity == "error" for finding in findings):
        leave(Exit.DIFFERENCES)


def _bytes_of(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read(BYTES_MAX + 1)
    try:
        with Path(source).open("rb") as file:
            return file.read(BYTES_MAX + 1)
    except OSError as error:
        end_with_error(f"{escape(source)} cannot be read ({error.strerror})", Exit.USAGE)


def _expectations(mapping: Path | None, organization: str) -> Expectations:
    recipient = f"https://login.{settings().region}/saml"
    expected = Expectations(ACTED_ON, recipient=recipient)
    if mapping:
        try:
            expected = read_mapping(mapping.read_bytes(), mapping.name)
        except OSError as error:
            end_with_error(f"{escape(str(mapping))} cannot be read ({error.strerror})", Exit.USAGE)
    fields = tuple(
        replace(field, value=organization) if organization and field.attribute == "OrganizationName" else field
        for field in expected.fields
    )
    return replace(expected, fields=fields, recipient=expected.recipient or recipient)


def _as_set_up(expected: Expectations, provider: str) -> Expectations:
    """Return expectations with what Genesys Cloud itself says, which counts where it says anything."""
    try:
        found = make_sign_on(settings()).find(provider)
    except StepError as error:
        end_with_error(f"{escape(error.message)}. {escape(error.remedy)}", Exit.ERROR)
    if found.disabled:
        err.print(f"[yellow]note:[/] {escape(found.name)} is disabled in Genesys Cloud: nobody can sign in by it")
    return replace(
        expected,
        issuer=found.issuer or expected.issuer,
        audience=found.audience or expected.audience,
        name_id_format=found.name_id_format or expected.name_id_format,
    )


def _without_values(read: Assertion) -> Assertion:
    attributes = tuple(replace(each, values=tuple("(hidden)" for _ in each.values)) for each in read.attributes)
    return replace(read, attributes=attributes, name_id=None if read.name_id is None else "(hidden)")


def _print(read: Assertion, findings: Sequence[Finding]) -> None:
    out.print(f"{read.kind} of {escape(read.issuer) or 'nobody'}, for {escape(', '.join(read.audiences)) or 'nobody'}")
    signed = ", ".join(read.signed) or "nothing"
    out.print(f"signed: {signed} (not verified)   NameID: {escape(read.name_id or 'none')}", soft_wrap=True)
    table = Table("attribute", "values", box=None, pad_edge=False, header_style="bold")
    for attribute in read.attributes:
        friendly = f" ({attribute.friendly_name})" if attribute.friendly_name else ""
        table.add_row(escape(attribute.name + friendly), escape(", ".join(map(repr, attribute.values))) or "none")
    out.print(table)
    if not findings:
        out.print("[green]all as expected[/]")
    for finding in findings:
        out.print(
            f"{_MARKS[finding.severity]} {finding.code}: {escape(finding.place)}: {escape(finding.cause)}",
            soft_wrap=True,
        )
        out.print(f"    {escape(finding.remedy)}", soft_wrap=True)


def template(
    idp: Annotated[IdentityProvider, typer.Option(help="Whose words to use.")] = IdentityProvider.GENERIC,
    json_: Json = False,
) -> None:
    """Print the claims to configure in an identity provider, and what Genesys Cloud does with each.

    Example: jitprov saml template --idp entra
    """
    claims = claims_for(idp)
    region = settings().region
    addresses = {"reply URL (ACS)": f"https://login.{region}/saml", "logout URL": f"https://login.{region}/saml/logout"}
    if json_:
        content = [asdict(claim) for claim in claims]
        emit_json("saml_template", idp=idp, addresses=addresses, claims=content, warning=WARNING)
        return
    for name, address in addresses.items():
        out.print(f"{name}: {address}")
    out.print(_claims_table(claims))
    err.print(f"[yellow]note:[/] {WARNING}", soft_wrap=True)


def _claims_table(claims: Sequence[Claim]) -> Table:
    table = Table(
        "claim, exactly", "for", "from", "Genesys Cloud at sign-in", box=None, pad_edge=False, header_style="bold"
    )
    for claim in claims:
        does = claim.acted_on or f"ignores it; use {claim.instead}"
        table.add_row(*map(escape, (claim.name, claim.purpose, claim.source, does)))
    return table
