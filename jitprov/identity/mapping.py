"""What an organization expects of its assertions: `Field: attribute` lines, or YAML with a rule for each field.

    email: email                              fields:
    Organization: OrganizationName              email: email
                                                department:
                                                  attribute: department
                                                  required: false
                                              audience: https://…
                                              organization: example-centre

Without a file: what Genesys Cloud acts on (FACTS section 5): OrganizationName and email, and ServiceName where sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jitprov.errors import ConfigurationError
from jitprov.rules.document import Document, read_document

NAME_ID = "NameID"
_FIELDS_MAX = 100


@dataclass(frozen=True, slots=True)
class Expected:
    """One field.

    Attributes:
        field: The organization's word for it.
        attribute: The attribute's exact name; `NameID` is the subject's identifier.
        required: False when it may be left out.
        several: True when it may hold more than one value.
        value: The exact value; empty when it differs by person.
    """

    field: str
    attribute: str
    required: bool = True
    several: bool = False
    value: str = ""


@dataclass(frozen=True, slots=True)
class Expectations:
    """All that is expected; empty texts are not compared.

    Attributes:
        issuer: The identity provider's own id.
        audience: The relying party's id, as set in Genesys Cloud.
        recipient: Where assertions go: `https://login.<region>/saml`.
        name_id_format: URN.
    """

    fields: tuple[Expected, ...]
    issuer: str = ""
    audience: str = ""
    recipient: str = ""
    name_id_format: str = ""


#: What Genesys Cloud acts on; names are compared with case.
ACTED_ON = (
    Expected("organization", "OrganizationName"),
    Expected("e-mail", "email"),
    Expected("service", "ServiceName", required=False),
)


class _FieldEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    attribute: str = Field(min_length=1, max_length=500)
    required: bool = True
    several: bool = False
    value: str = ""


class _MappingFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    fields: dict[str, str | _FieldEntry] = Field(min_length=1, max_length=_FIELDS_MAX)
    issuer: str = ""
    audience: str = ""
    recipient: str = ""
    name_id_format: str = ""
    organization: str = ""


def read_mapping(raw: bytes, name: str) -> Expectations:
    """Read a mapping file.

    Args:
        raw: The file's bytes, in either form.
        name: Of the file, for errors.

    Raises:
        ConfigurationError: Names file, line, place and cause.
    """
    document = read_document(raw, name)
    content = document.value
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{name}:1: must be lines of `Field: attribute`, or a mapping with `fields`")
    lines_only = not isinstance(content.get("fields"), Mapping)
    try:
        read = _MappingFile.model_validate({"fields": dict(content)} if lines_only else content)
    except ValidationError as error:
        faults = [
            _fault(tuple(map(str, item["loc"])), item["msg"], document, name, lines_only) for item in error.errors()
        ]
        raise ConfigurationError("\n".join(dict.fromkeys(faults))) from None
    fields = tuple(_expected(field, entry, read.organization) for field, entry in read.fields.items())
    return Expectations(fields, read.issuer, read.audience, read.recipient, read.name_id_format)


def _expected(field: str, entry: str | _FieldEntry, organization: str) -> Expected:
    if isinstance(entry, str):
        entry = _FieldEntry(attribute=entry)
    value = entry.value or (organization if entry.attribute == "OrganizationName" else "")
    return Expected(field, entry.attribute, entry.required, entry.several, value)


def _fault(loc: tuple[str, ...], said: str, document: Document, name: str, lines_only: bool) -> str:  # noqa: FBT001
    place = tuple(part for part in loc if part not in {"str", "_FieldEntry"})
    line = document.line_of(place[1:] if lines_only else place)
    return f"{name}:{line}: {'.'.join(place[1:] if lines_only else place)}: {said[0].lower()}{said[1:]}"
