"""Finds what breaks between two versions of a JSON Schema, for who sends and for who reads.

Each function yields a sentence for each break, which begins with its path. Read are the keywords
that Prosa's schemas have; a schema with another one raises UnknownKeyword rather than be waved
through.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

Schema = Mapping[str, Any]
Document = Mapping[str, Any]

FLOORS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
CEILINGS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
SAME: Final = ("pattern", "format", "contentMediaType", "uniqueItems", "multipleOf")
INNER: Final = ("items", "propertyNames")
WORDS: Final = frozenset(
    {"title", "description", "examples", "example", "default", "deprecated"}
    | {"$schema", "$id", "$defs"}
)
"""What says nothing of which values there may be."""
READ: Final = (
    frozenset({"$ref", "anyOf", "oneOf", "type", "enum", "const"})
    | {"properties", "required", "additionalProperties", "patternProperties"}
    | {*FLOORS, *CEILINGS, *SAME, *INNER, *WORDS}
)
CHOICES: Final = ("anyOf", "oneOf")


class UnknownKeyword(Exception):
    """A schema says something that is not compared here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A schema as it was and as it is, in the documents that their references lead into.

    `sent` says that clients send such values, and we take them; otherwise we send, and they read.
    """

    was: Schema
    now: Schema
    old: Document
    new: Document
    sent: bool
    path: str

    def breaks(self) -> Iterator[str]:
        """Say what breaks: what was taken and is refused, or what is given and was not before."""
        change = self._resolved()
        if any(name in change.was or name in change.now for name in CHOICES):
            yield from change._choices()
            return
        if not change._is_typed_alike():
            was, now = (one.get("type", "any") for one in (change.was, change.now))
            yield change._said("type", was, now)
            return
        yield from change._values()
        yield from change._limits()
        yield from change._fields()
        yield from change._inner()

    def _resolved(self) -> "Change":
        was, now = resolved(self.was, self.old), resolved(self.now, self.new)
        return replace(self, was=was, now=now)

    @property
    def _narrow(self) -> Schema:
        """The schema whose every value the other one has to allow."""
        return self.was if self.sent else self.now

    @property
    def _wide(self) -> Schema:
        return self.now if self.sent else self.was

    def _between(self, narrow: Schema, wide: Schema, name: str = "") -> "Change":
        """Compare a part of the one with a part of the other."""
        was, now = (narrow, wide) if self.sent else (wide, narrow)
        path = f"{self.path}.{name}" if name else self.path
        return replace(self, was=was, now=now, path=path)

    def _choices(self) -> Iterator[str]:
        """Find for each choice one that allows it, or tell of the one that comes next to it."""
        for choice in _choices_of(self._narrow):
            found = [
                [*self._between(choice, allowed).breaks()] for allowed in _choices_of(self._wide)
            ]
            yield from min(found, key=len)

    def _is_typed_alike(self) -> bool:
        narrow, wide = self._narrow.get("type"), self._wide.get("type")
        return wide in {None, narrow} or (narrow, wide) == ("integer", "number")

    def _values(self) -> Iterator[str]:
        narrow, wide = _values_of(self._narrow), _values_of(self._wide)
        if wide is None or (narrow is not None and narrow <= wide):
            return
        was, now = _values_of(self.was), _values_of(self.now)
        yield self._said("values", _listed(was), _listed(now))

    def _limits(self) -> Iterator[str]:
        for name in (*FLOORS, *CEILINGS, *SAME):
            narrow, wide = self._narrow.get(name), self._wide.get(name)
            if not _within(name, narrow, wide):
                yield self._said(name, self.was.get(name, "none"), self.now.get(name, "none"))

    def _fields(self) -> Iterator[str]:
        was, now = self.was.get("properties", {}), self.now.get("properties", {})
        for name in was:
            if name in now:
                path = f"{self.path}.{name}"
                yield from replace(self, was=was[name], now=now[name], path=path).breaks()
            else:
                yield f"{self.path}.{name} is gone"
        narrow, wide = self._narrow.get("required", ()), self._wide.get("required", ())
        for name in wide:
            if name not in narrow and (self.sent or name in now):
                said = "has to be sent now" if self.sent else "may be missing now"
                yield f"{self.path}.{name} {said}"
        yield from self._other_fields()

    def _other_fields(self) -> Iterator[str]:
        """Compare fields without a name of ours. Readers ignore what they do not know."""
        was, now = (one.get("additionalProperties", True) for one in (self.was, self.now))
        if self.sent and now is False and was is not False:
            yield f"{self.path}: fields that are not named are refused now"
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from replace(self, was=was, now=now, path=f"{self.path}.*").breaks()
        yield from self._patterned_fields()

    def _patterned_fields(self) -> Iterator[str]:
        narrow = self._narrow.get("patternProperties", {})
        for pattern, schema in self._wide.get("patternProperties", {}).items():
            if pattern in narrow:
                yield from self._between(narrow[pattern], schema, "*").breaks()
            else:
                yield f"{self.path}: what is named like {pattern} is another thing now"

    def _inner(self) -> Iterator[str]:
        for name in INNER:
            if name in self._wide:
                narrow = self._narrow.get(name, {})
                yield from self._between(narrow, self._wide[name], name).breaks()

    def _said(self, what: str, was: object, now: object) -> str:
        return f"{self.path}: {what} was {was}, is {now}"


def resolved(schema: Schema, document: Document) -> Schema:
    """Follow references. Raises UnknownKeyword."""
    if unknown := set(schema) - READ:
        raise UnknownKeyword(f"{sorted(unknown)} is not compared: teach tests/stability to")
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return resolved(found, document)


def _choices_of(schema: Schema) -> list[Schema]:
    return next((schema[name] for name in CHOICES if name in schema), [schema])


def _values_of(schema: Schema) -> frozenset[object] | None:
    if "const" in schema:
        return frozenset({schema["const"]})
    return frozenset(schema["enum"]) if "enum" in schema else None


def _listed(values: frozenset[object] | None) -> str:
    return "any" if values is None else ", ".join(sorted(map(str, values)))


def _within(name: str, narrow: Any, wide: Any) -> bool:  # noqa: ANN401 - limits are numbers or texts
    """Tell whether a limit is at least as narrow as another; None is no limit."""
    if wide is None:
        return True
    if narrow is None:
        return False
    if name in FLOORS:
        return bool(narrow >= wide)
    return bool(narrow <= wide) if name in CEILINGS else bool(narrow == wide)
