"""Prompts in files: which version is in force, and what is wrong with a folder."""

from pathlib import Path

import pytest

from prosa.adapters.files.prompt_catalog import SHIPPED_PROMPTS, FilesPromptCatalog
from prosa.domain.errors import ConfigurationError, PromptNotFound
from prosa.domain.identifiers import DEFAULT_TENANT


def write(folder: Path, **files: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name.removeprefix('v')}.md").write_bytes(content)


async def version_of(folder: Path, name: str = "greet") -> str:
    return (await FilesPromptCatalog(folder).get(DEFAULT_TENANT, name)).version


async def test_the_highest_version_is_in_force_by_number(tmp_path: Path) -> None:
    write(tmp_path / "greet", v2=b"two", v10=b"ten", v9=b"nine")
    assert await version_of(tmp_path) == "10"


async def test_files_are_read_once(tmp_path: Path) -> None:
    write(tmp_path / "greet", v1=b"one")
    catalog = FilesPromptCatalog(tmp_path)
    write(tmp_path / "greet", v1=b"changed", v2=b"two")
    got = await catalog.get(DEFAULT_TENANT, "greet")
    assert (got.version, got.text) == ("1", "one")
    assert await catalog.get(DEFAULT_TENANT, "greet") is got


async def test_line_ends_byte_order_mark_and_blank_lines_around_do_not_count(
    tmp_path: Path,
) -> None:
    write(tmp_path / "unix", v1=b"Ol\xc3\xa1\n\n{{ name }}\n")
    write(tmp_path / "windows", v1=b"\xef\xbb\xbf\r\nOl\xc3\xa1\r\n\r\n{{ name }}\r\n\r\n")
    catalog = FilesPromptCatalog(tmp_path)
    unix = await catalog.get(DEFAULT_TENANT, "unix")
    windows = await catalog.get(DEFAULT_TENANT, "windows")
    assert unix.text == windows.text == "Olá\n\n{{ name }}"
    assert unix.reference.digest == windows.reference.digest


async def test_hidden_files_and_files_beside_the_prompts_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "greet", v1=b"one")
    write(tmp_path / ".git", vHEAD=b"x")
    (tmp_path / "README.md").write_bytes(b"about")
    (tmp_path / "greet" / ".1.md.swp").write_bytes(b"x")
    assert await version_of(tmp_path) == "1"


@pytest.mark.parametrize("name", ["draft.md", "01.md", "0.md", "1.txt", "v1.md", "-1.md", "1.md~"])
def test_a_file_that_names_no_version_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "greet", v1=b"one")
    (tmp_path / "greet" / name).write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="is no version of a prompt") as refused:
        FilesPromptCatalog(tmp_path)
    assert str(tmp_path / "greet" / name) in str(refused.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"\xff\xfe\x00", "cannot read the prompt"), (b"", "is empty"), (b" \n\t", "is empty")],
)
def test_a_file_without_text_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    write(tmp_path / "greet", v1=content)
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        FilesPromptCatalog(tmp_path)
    assert str(tmp_path / "greet" / "1.md") in str(refused.value)


def test_a_folder_in_the_place_of_a_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "greet" / "1.md").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="cannot read the prompt"):
        FilesPromptCatalog(tmp_path)


def test_a_prompt_without_a_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "greet").mkdir()
    with pytest.raises(ConfigurationError, match="has no version"):
        FilesPromptCatalog(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the prompts"):
        FilesPromptCatalog(tmp_path / "nowhere")


async def test_a_prompt_that_is_not_found_is_named_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(PromptNotFound) as missing:
        await FilesPromptCatalog(tmp_path).get(DEFAULT_TENANT, "greet")
    assert "'greet'" in str(missing.value)
    assert str(tmp_path) in str(missing.value)


@pytest.mark.parametrize(
    ("name", "known"),
    [("support_agent", {"today", "intent"}), ("classify_intent", {"intents"})],
)
async def test_the_shipped_prompts_ask_for_what_they_are_given(name: str, known: set[str]) -> None:
    template = await FilesPromptCatalog().get(DEFAULT_TENANT, name)
    assert template.variables == known
    rendered = template.render(dict.fromkeys(known, "…"))
    assert "{{" not in rendered


@pytest.mark.parametrize(
    "file", sorted(SHIPPED_PROMPTS.glob("*/*.md")), ids=lambda file: file.parent.name
)
def test_the_shipped_prompts_leave_a_small_model_room(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8")) < 1_600
