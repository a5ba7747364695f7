"""Tells what a customer wants."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from prosa.application.ports.language_model import CallBudget
from prosa.domain.identifiers import TenantId
from prosa.domain.intent import Intent
from prosa.domain.message import Message
from prosa.domain.reply import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationRequest:
    """`history` ends with the message to classify. A classifier makes at most one call."""

    tenant_id: TenantId
    history: tuple[Message, ...]
    deadline: datetime
    budget: CallBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """The intent, and the calls to providers that finding it took."""

    intent: Intent
    calls: tuple[Call, ...] = ()


class IntentClassifier(Protocol):
    """Classifies messages by the intents of a catalog."""

    async def classify(self, request: ClassificationRequest) -> Classification:
        """Name the intent of the last message: always one of the catalog's.

        It never fails: a classifier that cannot tell, or whose model gives no usable answer,
        names the catalog's fallback with confidence 0.
        """
