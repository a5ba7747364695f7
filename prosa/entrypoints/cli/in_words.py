"""Parts of the application in words, for the person at the keyboard."""

import re

from prosa.settings import ModelName, Settings

DEMONSTRATION = "demonstration weights: small, and English only"


def is_demonstration(settings: Settings) -> bool:
    """Say whether the demonstration weights answer first, which know no language but English."""
    return settings.models[0].adapter == "local" and settings.local_model is None


def model_in_words(settings: Settings, demonstration: str = DEMONSTRATION) -> str:
    """Say which models answer, in the chain's order, and what is worth knowing of each."""
    return ", then ".join(one_in_words(settings, name, demonstration) for name in settings.models)


def one_in_words(settings: Settings, name: ModelName, demonstration: str = DEMONSTRATION) -> str:
    """Say one model of the chain, and what is worth knowing of it."""
    match name.adapter:
        case "local" if settings.local_model:
            return f"{name} ({settings.local_model.name})"
        case "local":
            return f"{name} ({demonstration})"
        case "openai" if settings.openai_base_url:
            return f"{name} at {server_of(settings.openai_base_url)}"
        case _:
            return str(name)


def server_of(address: str) -> str:
    """Take host and port out of an address. What stands before an @ would be a password."""
    return re.split("[/?#]", address.partition("://")[2].rpartition("@")[2])[0]


def counted(count: int, thing: str) -> str:
    """Say how many things there are, of which one is named."""
    return f"1 {thing}" if count == 1 else f"{count} {thing}s"
