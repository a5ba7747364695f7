"""What the pages about operations are made of: commands, statements, queries, names."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
OPERATIONS = ROOT / "docs" / "operations.md"
DOCUMENTS = [OPERATIONS, *sorted(RUNBOOKS.glob("*.md"))]

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SQL_CALL = re.compile(r'(?<!-)\bsql "([^"]+)"')
QUERY = re.compile(r"insights \"[^\"]+\" '([^']+)'")
BEGINS = r"(?:^|\$\(|[;|(] ?|\bdo |&& )"
PUNCTUATION = frozenset("();|&")


def read(path: Path) -> str:
    """Read a page."""
    return path.read_text(encoding="utf-8")


def prose(page: str) -> str:
    """Give a page without its blocks of code."""
    return FENCE.sub("", page)


def blocks(page: str, language: str) -> list[str]:
    """Find the blocks of code in a language."""
    return [text for _, written, text in FENCE.findall(page) if written == language]


def spans(page: str) -> set[str]:
    """Find what stands in the type of code within sentences."""
    return set(SPAN.findall(prose(page)))


def commands(page: str, program: str) -> Iterator[list[str]]:
    """Find how a program is called, in blocks and within sentences: the words behind its name."""
    written = "\n".join([*blocks(page, "sh"), *spans(page)]).replace("\\\n", " ")
    # What is ahead is not taken: a command may have others within it.
    for match in re.finditer(rf"{BEGINS} *{program} (?=(.*)$)", written, re.MULTILINE):
        yield _words_of(match[1])


def _words_of(line: str) -> list[str]:
    """Split a command up to where the next one begins; what is quoted stays whole."""
    reading = shlex.shlex(line, posix=True, punctuation_chars="".join(PUNCTUATION))
    reading.whitespace_split = True
    words: list[str] = []
    try:
        for word in reading:
            if PUNCTUATION.issuperset(word):
                break
            words.append(word)
    except ValueError:
        # A quote around the whole command ends here.
        pass
    return words


def statements(page: str) -> list[str]:
    """Find the SQL that a page has run."""
    written = "\n".join([*blocks(page, "sh"), *spans(page)])
    return [*SQL_CALL.findall(written), *blocks(page, "sql")]


def queries(page: str) -> list[str]:
    """Find what it looks for in logs."""
    return QUERY.findall(page)


def links(page: str) -> list[str]:
    """Find where it links to within the repository."""
    return [target for target in LINK.findall(prose(page)) if not target.startswith("http")]


def anchors(page: str) -> set[str]:
    """List its headings as links name them."""
    titles = HEADING.findall(prose(page))
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
