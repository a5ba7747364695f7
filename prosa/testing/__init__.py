"""The conformance kit: what every adapter of a port promises, and what it takes to test one.

    from prosa.testing import EventBusContract

    class TestMyBus(EventBusContract):
        @pytest.fixture
        def event_bus(self) -> MyBus: ...

A contract's tests are asynchronous: have pytest-asyncio run in its mode `auto`. docs/extending.md
is the tutorial. Each name is imported when it is first asked for. Needs the extra `testing`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prosa.adapters.in_memory.event_bus import RecordingEventBus
    from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
    from prosa.adapters.in_memory.intent_classifier import ScriptedIntentClassifier
    from prosa.adapters.in_memory.language_model import Hang, ScriptedLanguageModel, ScriptedReply
    from prosa.adapters.in_memory.reply_outlet import RecordingReplyOutlet
    from prosa.testing.attempt_store_contract import AttemptStoreContract
    from prosa.testing.authenticator_contract import AuthenticatorContract
    from prosa.testing.builders import (
        NOON,
        VirtualClock,
        a_call,
        a_conversation,
        a_message,
        a_reply,
        a_tenant,
        claim,
    )
    from prosa.testing.conversation_reader_contract import ConversationReaderContract
    from prosa.testing.delivery_ledger_contract import DeliveryLedgerContract
    from prosa.testing.event_bus_contract import EventBusContract, some_events
    from prosa.testing.expired_turns_contract import ExpiredTurnsContract
    from prosa.testing.guardrail_contract import GuardrailContract
    from prosa.testing.intent_classifier_contract import IntentClassifierContract
    from prosa.testing.language_model_contract import LanguageModelContract, model_request, said
    from prosa.testing.message_queue_contract import MessageQueueContract
    from prosa.testing.outbox_contract import OutboxContract
    from prosa.testing.prompt_catalog_contract import PromptCatalogContract
    from prosa.testing.reply_outlet_contract import ReplyOutletContract
    from prosa.testing.secret_store_contract import SecretStoreContract
    from prosa.testing.turn_runner_contract import TurnRunnerContract
    from prosa.testing.unit_of_work_contract import UnitOfWorkContract
    from prosa.testing.virtual_time import VirtualTimeLoop

__all__ = [
    "NOON",
    "AttemptStoreContract",
    "AuthenticatorContract",
    "ConversationReaderContract",
    "DeliveryLedgerContract",
    "EventBusContract",
    "ExpiredTurnsContract",
    "GuardrailContract",
    "Hang",
    "IntentClassifierContract",
    "LanguageModelContract",
    "MessageQueueContract",
    "OutboxContract",
    "PromptCatalogContract",
    "RecordingEventBus",
    "RecordingReplyOutlet",
    "ReplyOutletContract",
    "ScriptedGuardrail",
    "ScriptedIntentClassifier",
    "ScriptedLanguageModel",
    "ScriptedReply",
    "SecretStoreContract",
    "TurnRunnerContract",
    "UnitOfWorkContract",
    "VirtualClock",
    "VirtualTimeLoop",
    "a_call",
    "a_conversation",
    "a_message",
    "a_reply",
    "a_tenant",
    "claim",
    "model_request",
    "said",
    "some_events",
]

CONTRACTS = {
    "prosa.testing.attempt_store_contract": ("AttemptStoreContract",),
    "prosa.testing.authenticator_contract": ("AuthenticatorContract",),
    "prosa.testing.conversation_reader_contract": ("ConversationReaderContract",),
    "prosa.testing.delivery_ledger_contract": ("DeliveryLedgerContract",),
    "prosa.testing.event_bus_contract": ("EventBusContract", "some_events"),
    "prosa.testing.expired_turns_contract": ("ExpiredTurnsContract",),
    "prosa.testing.guardrail_contract": ("GuardrailContract",),
    "prosa.testing.intent_classifier_contract": ("IntentClassifierContract",),
    "prosa.testing.language_model_contract": ("LanguageModelContract", "model_request", "said"),
    "prosa.testing.message_queue_contract": ("MessageQueueContract",),
    "prosa.testing.outbox_contract": ("OutboxContract",),
    "prosa.testing.prompt_catalog_contract": ("PromptCatalogContract",),
    "prosa.testing.reply_outlet_contract": ("ReplyOutletContract",),
    "prosa.testing.secret_store_contract": ("SecretStoreContract",),
    "prosa.testing.turn_runner_contract": ("TurnRunnerContract",),
    "prosa.testing.unit_of_work_contract": ("UnitOfWorkContract",),
}
"""The contracts, one for each port, with what belongs to them, by the module of each."""

_NAMES = {
    **CONTRACTS,
    "prosa.adapters.in_memory.event_bus": ("RecordingEventBus",),
    "prosa.adapters.in_memory.guardrail": ("ScriptedGuardrail",),
    "prosa.adapters.in_memory.intent_classifier": ("ScriptedIntentClassifier",),
    "prosa.adapters.in_memory.language_model": ("Hang", "ScriptedLanguageModel", "ScriptedReply"),
    "prosa.adapters.in_memory.reply_outlet": ("RecordingReplyOutlet",),
    "prosa.testing.builders": (
        "NOON",
        "VirtualClock",
        "a_call",
        "a_conversation",
        "a_message",
        "a_reply",
        "a_tenant",
        "claim",
    ),
    "prosa.testing.virtual_time": ("VirtualTimeLoop",),
}

_HOMES = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # a type checker would take it that every name exists

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'prosa.testing' has no attribute {name!r}", name=name)
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
