"""Prosa: an intelligent customer-service conversation platform, as a library.

The public names, and nothing else; each is imported when it is first asked for, so that
`import prosa` loads no technology.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prosa.application.accept_turn import (
        AcceptedTurn,
        AcceptTurn,
        CustomerMessage,
    )
    from prosa.application.close_conversation import (
        CloseConversation,
    )
    from prosa.application.deliver_reply import (
        DeliverReply,
    )
    from prosa.application.generation import (
        OnPiece,
    )
    from prosa.application.own_conversations import OwnConversations
    from prosa.application.ports.attempt_store import (
        AttemptStore,
    )
    from prosa.application.ports.authenticator import Authenticator, KeysUnavailable
    from prosa.application.ports.conversation_reader import (
        ConversationFilter,
        ConversationReader,
        Page,
    )
    from prosa.application.ports.conversation_repository import (
        ConversationRepository,
    )
    from prosa.application.ports.delivery_ledger import (
        Delivery,
        DeliveryLedger,
    )
    from prosa.application.ports.event_bus import (
        EventBus,
        EventBusError,
        PublishedEvent,
        RefusedEvent,
        TryAgain,
    )
    from prosa.application.ports.expired_turns import (
        ExpiredTurn,
        ExpiredTurns,
    )
    from prosa.application.ports.guardrail import (
        Guardrail,
        GuardrailError,
        Passage,
    )
    from prosa.application.ports.intent_classifier import (
        Classification,
        ClassificationRequest,
        IntentClassifier,
    )
    from prosa.application.ports.language_model import (
        AnswerFormat,
        CallBudget,
        CircuitOpen,
        ContentFiltered,
        ContextTooLong,
        LanguageModel,
        LanguageModelError,
        ModelMisconfigured,
        ModelQuotaExhausted,
        ModelRateLimited,
        ModelRejectedRequest,
        ModelReplyMalformed,
        ModelRequest,
        ModelTimedOut,
        ModelUnavailable,
        OnText,
    )
    from prosa.application.ports.message_queue import (
        MessageQueue,
        MessageQueueError,
        NewQueueMessage,
        ReceivedMessage,
    )
    from prosa.application.ports.outbox import (
        Backlog,
        FailedEntry,
        Outbox,
        OutboxEntry,
    )
    from prosa.application.ports.prompt_catalog import (
        PromptCatalog,
    )
    from prosa.application.ports.reply_outlet import (
        OutgoingReply,
        ReplyOutlet,
        ReplyOutletError,
    )
    from prosa.application.ports.request_log import (
        LoggedRequest,
        RequestKey,
        RequestLog,
    )
    from prosa.application.ports.secret_store import (
        Secret,
        SecretStore,
        SecretUnavailable,
        SecretUnreadable,
    )
    from prosa.application.ports.turn_runner import AttemptId, TurnNotStarted, TurnRunner
    from prosa.application.ports.unit_of_work import (
        CommitUnknown,
        StorageUnavailable,
        UnitOfWork,
        UnitOfWorkFactory,
        VersionConflict,
    )
    from prosa.application.recover_turns import Recovered, RecoverTurns
    from prosa.application.redrive_messages import (
        RedriveMessages,
    )
    from prosa.application.relay_outbox import (
        Relayed,
        RelayOutbox,
    )
    from prosa.application.start_conversation import (
        NewConversation,
        StartConversation,
        StartedConversation,
    )
    from prosa.application.take_turn import (
        TakeTurn,
    )
    from prosa.application.turn_policy import (
        TurnPolicy,
    )
    from prosa.bootstrap.app import App, bootstrap
    from prosa.bootstrap.parts import Chore, Probe
    from prosa.bootstrap.secrets import read_settings
    from prosa.bootstrap.storage import Migration, migrate
    from prosa.domain.caller import Caller
    from prosa.domain.content import (
        Part,
        Text,
        ToolCall,
        ToolResult,
    )
    from prosa.domain.conversation import Conversation
    from prosa.domain.conversation_header import ConversationHeader, ConversationStatus, Owner
    from prosa.domain.errors import (
        AccessRefused,
        ConfigurationError,
        ConversationBusy,
        ConversationClosed,
        ConversationNotFound,
        DeadlineExceeded,
        Forbidden,
        IdempotencyConflict,
        InvalidField,
        KeyReused,
        KeyTaken,
        MessageTooLong,
        NotFound,
        PortFailure,
        PromptNotFound,
        ProsaError,
        RuleViolation,
        StaleAttempt,
        TokenMissing,
        TokenRefused,
        TurnFailed,
        TurnInProgress,
        TurnNotFound,
        TurnWithoutReply,
    )
    from prosa.domain.identifiers import (
        DEFAULT_TENANT,
        Clock,
        ConversationId,
        EventId,
        MessageId,
        NewHex,
        TenantId,
        TurnId,
    )
    from prosa.domain.intent import (
        Intent,
        IntentCatalog,
        IntentDefinition,
    )
    from prosa.domain.message import (
        Message,
        Role,
        Utterance,
    )
    from prosa.domain.prompt import (
        PromptTemplate,
    )
    from prosa.domain.reply import (
        Call,
        CallPurpose,
        CannedReplies,
        FinishReason,
        PromptReference,
        Provenance,
        Reply,
        TokenUsage,
    )
    from prosa.domain.turn import (
        Attempt,
        Turn,
        TurnError,
        TurnOutcome,
        TurnStatus,
    )
    from prosa.domain.verdict import (
        Allowed,
        Blocked,
        Direction,
        Finding,
        Redacted,
        Verdict,
    )
    from prosa.settings import (
        ModelName,
        Settings,
    )

__all__ = [
    "DEFAULT_TENANT",
    "AcceptTurn",
    "AcceptedTurn",
    "AccessRefused",
    "Allowed",
    "AnswerFormat",
    "App",
    "Attempt",
    "AttemptId",
    "AttemptStore",
    "Authenticator",
    "Backlog",
    "Blocked",
    "Call",
    "CallBudget",
    "CallPurpose",
    "Caller",
    "CannedReplies",
    "Chore",
    "CircuitOpen",
    "Classification",
    "ClassificationRequest",
    "Clock",
    "CloseConversation",
    "CommitUnknown",
    "ConfigurationError",
    "ContentFiltered",
    "ContextTooLong",
    "Conversation",
    "ConversationBusy",
    "ConversationClosed",
    "ConversationFilter",
    "ConversationHeader",
    "ConversationId",
    "ConversationNotFound",
    "ConversationReader",
    "ConversationRepository",
    "ConversationStatus",
    "CustomerMessage",
    "DeadlineExceeded",
    "DeliverReply",
    "Delivery",
    "DeliveryLedger",
    "Direction",
    "EventBus",
    "EventBusError",
    "EventId",
    "ExpiredTurn",
    "ExpiredTurns",
    "FailedEntry",
    "Finding",
    "FinishReason",
    "Forbidden",
    "Guardrail",
    "GuardrailError",
    "IdempotencyConflict",
    "Intent",
    "IntentCatalog",
    "IntentClassifier",
    "IntentDefinition",
    "InvalidField",
    "KeyReused",
    "KeyTaken",
    "KeysUnavailable",
    "LanguageModel",
    "LanguageModelError",
    "LoggedRequest",
    "Message",
    "MessageId",
    "MessageQueue",
    "MessageQueueError",
    "MessageTooLong",
    "Migration",
    "ModelMisconfigured",
    "ModelName",
    "ModelQuotaExhausted",
    "ModelRateLimited",
    "ModelRejectedRequest",
    "ModelReplyMalformed",
    "ModelRequest",
    "ModelTimedOut",
    "ModelUnavailable",
    "NewConversation",
    "NewHex",
    "NewQueueMessage",
    "NotFound",
    "OnPiece",
    "OnText",
    "Outbox",
    "OutboxEntry",
    "OutgoingReply",
    "OwnConversations",
    "Owner",
    "Page",
    "Part",
    "Passage",
    "PortFailure",
    "Probe",
    "PromptCatalog",
    "PromptNotFound",
    "PromptReference",
    "PromptTemplate",
    "ProsaError",
    "Provenance",
    "PublishedEvent",
    "ReceivedMessage",
    "RecoverTurns",
    "Recovered",
    "Redacted",
    "RedriveMessages",
    "RefusedEvent",
    "RelayOutbox",
    "Relayed",
    "Reply",
    "ReplyOutlet",
    "ReplyOutletError",
    "RequestKey",
    "RequestLog",
    "Role",
    "RuleViolation",
    "Secret",
    "SecretStore",
    "SecretUnavailable",
    "SecretUnreadable",
    "Settings",
    "StaleAttempt",
    "StartConversation",
    "StartedConversation",
    "StorageUnavailable",
    "TakeTurn",
    "TenantId",
    "Text",
    "TokenMissing",
    "TokenRefused",
    "TokenUsage",
    "ToolCall",
    "ToolResult",
    "TryAgain",
    "Turn",
    "TurnError",
    "TurnFailed",
    "TurnId",
    "TurnInProgress",
    "TurnNotFound",
    "TurnNotStarted",
    "TurnOutcome",
    "TurnPolicy",
    "TurnRunner",
    "TurnStatus",
    "TurnWithoutReply",
    "UnitOfWork",
    "UnitOfWorkFactory",
    "Utterance",
    "Verdict",
    "VersionConflict",
    "bootstrap",
    "migrate",
    "read_settings",
]

_NAMES = {
    "prosa.application.accept_turn": ("AcceptedTurn", "AcceptTurn", "CustomerMessage"),
    "prosa.application.close_conversation": ("CloseConversation",),
    "prosa.application.own_conversations": ("OwnConversations",),
    "prosa.application.ports.attempt_store": ("AttemptStore",),
    "prosa.application.ports.authenticator": ("Authenticator", "KeysUnavailable"),
    "prosa.application.ports.conversation_reader": (
        "ConversationFilter",
        "ConversationReader",
        "Page",
    ),
    "prosa.application.ports.conversation_repository": ("ConversationRepository",),
    "prosa.application.ports.event_bus": (
        "EventBus",
        "EventBusError",
        "PublishedEvent",
        "RefusedEvent",
        "TryAgain",
    ),
    "prosa.application.ports.expired_turns": ("ExpiredTurn", "ExpiredTurns"),
    "prosa.application.ports.guardrail": ("Guardrail", "GuardrailError", "Passage"),
    "prosa.application.ports.intent_classifier": (
        "Classification",
        "ClassificationRequest",
        "IntentClassifier",
    ),
    "prosa.application.ports.language_model": (
        "AnswerFormat",
        "CallBudget",
        "CircuitOpen",
        "ContentFiltered",
        "ContextTooLong",
        "LanguageModel",
        "LanguageModelError",
        "ModelMisconfigured",
        "ModelQuotaExhausted",
        "ModelRateLimited",
        "ModelRejectedRequest",
        "ModelReplyMalformed",
        "ModelRequest",
        "ModelTimedOut",
        "ModelUnavailable",
        "OnText",
    ),
    "prosa.application.ports.outbox": ("Backlog", "FailedEntry", "Outbox", "OutboxEntry"),
    "prosa.application.ports.prompt_catalog": ("PromptCatalog",),
    "prosa.application.ports.request_log": ("LoggedRequest", "RequestKey", "RequestLog"),
    "prosa.application.ports.secret_store": (
        "Secret",
        "SecretStore",
        "SecretUnavailable",
        "SecretUnreadable",
    ),
    "prosa.application.ports.turn_runner": ("AttemptId", "TurnNotStarted", "TurnRunner"),
    "prosa.application.ports.unit_of_work": (
        "CommitUnknown",
        "StorageUnavailable",
        "UnitOfWork",
        "UnitOfWorkFactory",
        "VersionConflict",
    ),
    "prosa.application.deliver_reply": ("DeliverReply",),
    "prosa.application.ports.delivery_ledger": ("Delivery", "DeliveryLedger"),
    "prosa.application.ports.message_queue": (
        "MessageQueue",
        "MessageQueueError",
        "NewQueueMessage",
        "ReceivedMessage",
    ),
    "prosa.application.ports.reply_outlet": ("OutgoingReply", "ReplyOutlet", "ReplyOutletError"),
    "prosa.application.redrive_messages": ("RedriveMessages",),
    "prosa.application.generation": ("OnPiece",),
    "prosa.application.recover_turns": ("RecoverTurns", "Recovered"),
    "prosa.application.relay_outbox": ("RelayOutbox", "Relayed"),
    "prosa.application.start_conversation": (
        "NewConversation",
        "StartConversation",
        "StartedConversation",
    ),
    "prosa.application.take_turn": ("TakeTurn",),
    "prosa.application.turn_policy": ("TurnPolicy",),
    "prosa.bootstrap.app": ("App", "bootstrap"),
    "prosa.bootstrap.parts": ("Chore", "Probe"),
    "prosa.bootstrap.secrets": ("read_settings",),
    "prosa.bootstrap.storage": ("Migration", "migrate"),
    "prosa.domain.caller": ("Caller",),
    "prosa.domain.content": ("Part", "Text", "ToolCall", "ToolResult"),
    "prosa.domain.conversation": (
        "Conversation",
        "ConversationHeader",
        "ConversationStatus",
        "Owner",
    ),
    "prosa.domain.errors": (
        "AccessRefused",
        "ConfigurationError",
        "ConversationBusy",
        "ConversationClosed",
        "ConversationNotFound",
        "DeadlineExceeded",
        "Forbidden",
        "IdempotencyConflict",
        "InvalidField",
        "KeyReused",
        "KeyTaken",
        "MessageTooLong",
        "NotFound",
        "PortFailure",
        "PromptNotFound",
        "ProsaError",
        "RuleViolation",
        "StaleAttempt",
        "TokenMissing",
        "TokenRefused",
        "TurnFailed",
        "TurnInProgress",
        "TurnNotFound",
        "TurnWithoutReply",
    ),
    "prosa.domain.identifiers": (
        "DEFAULT_TENANT",
        "Clock",
        "ConversationId",
        "EventId",
        "MessageId",
        "NewHex",
        "TenantId",
        "TurnId",
    ),
    "prosa.domain.intent": ("Intent", "IntentCatalog", "IntentDefinition"),
    "prosa.domain.message": ("Message", "Role", "Utterance"),
    "prosa.domain.prompt": ("PromptTemplate",),
    "prosa.domain.reply": (
        "Call",
        "CallPurpose",
        "CannedReplies",
        "FinishReason",
        "PromptReference",
        "Provenance",
        "Reply",
        "TokenUsage",
    ),
    "prosa.domain.turn": ("Attempt", "Turn", "TurnError", "TurnOutcome", "TurnStatus"),
    "prosa.domain.verdict": ("Allowed", "Blocked", "Direction", "Finding", "Redacted", "Verdict"),
    "prosa.settings": ("ModelName", "Settings"),
}
"""The names, by the module that each comes from."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # a type checker would take it that every name exists

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'prosa' has no attribute {name!r}", name=name)
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        # Importing the module `prosa.bootstrap` would set it here, where the function belongs.
        if name != "bootstrap" or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
