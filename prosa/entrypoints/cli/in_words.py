"""Parts of the application in words, for the person at the keyboard."""

from urllib.parse import urlsplit

from prosa.settings import Settings

DEMONSTRATION = "demonstration weights: small, and English only"


def is_demonstration(settings: Settings) -> bool:
    """Say whether the demonstration weights answer, which know no language but English."""
    return settings.models[0].adapter == "local" and settings.local_model is None


def model_in_words(settings: Settings, demonstration: str = DEMONSTRATION) -> str:
    """Say which model answers, and what is worth knowing of it."""
    name = settings.models[0]
    match name.adapter:
        case "local" if is_demonstration(settings):
            return f"{name} ({demonstration})"
        case "local" if settings.local_model:
            return f"{name} ({settings.local_model.name})"
        case "openai" if settings.openai_base_url:
            # What stands before an @ would be a password.
            return f"{name} at {urlsplit(settings.openai_base_url).netloc.rpartition('@')[2]}"
        case _:
            return str(name)
