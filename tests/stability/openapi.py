"""Finds what breaks between two versions of an OpenAPI document, for the clients of the older."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.stability.schemas import Change, Document, Schema

Part = Mapping[str, Any]


def breaks(old: Document, new: Document) -> Iterator[str]:
    """Say what breaks, each time with its path. What is only added breaks nothing."""
    for path, operations in old["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            now = new["paths"].get(path, {}).get(method)
            if now is None:
                yield f"{name} is gone"
            else:
                yield from Operation(name=name, was=operation, now=now, old=old, new=new).breaks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation as it was and as it is."""

    name: str
    was: Part
    now: Part
    old: Document
    new: Document

    def breaks(self) -> Iterator[str]:
        """Say what breaks."""
        if self.now.get("security") and not self.was.get("security"):
            yield f"{self.name} asks for a token now"
        yield from self._parameters()
        yield from self._body()
        yield from self._answers()

    def _parameters(self) -> Iterator[str]:
        was, now = _parameters_of(self.was), _parameters_of(self.now)
        for name in was.keys() - now.keys():
            yield f"{self.name}: {name} is gone"
        for name, parameter in now.items():
            needed = parameter.get("required", False)
            if needed and not was.get(name, {}).get("required", False):
                yield f"{self.name}: {name} has to be sent now"
            if name in was:
                yield from self._schema(was[name], parameter, name, sent=True)

    def _body(self) -> Iterator[str]:
        was, now = self.was.get("requestBody", {}), self.now.get("requestBody", {})
        if now.get("required", False) and not was.get("required", False):
            yield f"{self.name}: a body has to be sent now"
        yield from self._contents(was, now, "body", sent=True)

    def _answers(self) -> Iterator[str]:
        for status, was in self.was["responses"].items():
            now = self.now["responses"].get(status)
            if now is None:
                yield f"{self.name}: the answer {status} is gone"
                continue
            for header in was.get("headers", {}).keys() - now.get("headers", {}).keys():
                yield f"{self.name}: the header {header} of the answer {status} is gone"
            yield from self._contents(was, now, f"answer {status}", sent=False)

    def _contents(self, was: Part, now: Part, name: str, *, sent: bool) -> Iterator[str]:
        known = now.get("content", {})
        for media_type, before in was.get("content", {}).items():
            if media_type not in known:
                yield f"{self.name}: {name}: {media_type} is gone"
                continue
            after = known[media_type]
            yield from self._codes(before, after, name)
            yield from self._schema(before, after, name, sent=sent)
            yield from self._schema(_event(before), _event(after), f"{name}: event", sent=sent)

    def _codes(self, was: Part, now: Part, name: str) -> Iterator[str]:
        """Compare the problems that an answer tells of: their examples are named by their codes."""
        for code in sorted(_problems_of(was) - _problems_of(now)):
            yield f"{self.name}: {name}: the problem {code} is gone"

    def _schema(self, was: Part, now: Part, name: str, *, sent: bool) -> Iterator[str]:
        before: Schema = was.get("schema", {})
        after: Schema = now.get("schema", {})
        yield from Change(
            was=before,
            now=after,
            old=self.old,
            new=self.new,
            sent=sent,
            path=f"{self.name}: {name}",
        ).breaks()


def _parameters_of(operation: Part) -> dict[str, Part]:
    return {
        f"{parameter['in']} {parameter['name']}": parameter
        for parameter in operation.get("parameters", ())
    }


def _problems_of(content: Part) -> set[str]:
    examples: Mapping[str, Part] = content.get("examples", {})
    return {name for name, example in examples.items() if "code" in example.get("value", {})}


def _event(content: Part) -> Part:
    """Find what is said of each event of a stream."""
    return {"schema": content.get("itemSchema", {})}
