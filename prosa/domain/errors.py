"""The root error, the broken rules, and the whole error tree in one drawing.

ProsaError
├─ RuleViolation
│   ├─ ConversationClosed
│   ├─ ConversationBusy
│   ├─ InvalidField
│   ├─ MessageTooLong
│   └─ TurnWithoutReply
├─ NotFound
│   ├─ ConversationNotFound
│   ├─ TurnNotFound
│   └─ PromptNotFound
├─ AccessRefused
│   ├─ TokenMissing
│   ├─ TokenRefused
│   └─ Forbidden
├─ IdempotencyConflict
│   ├─ KeyTaken
│   ├─ KeyReused
│   └─ TurnInProgress
├─ StaleAttempt
├─ DeadlineExceeded
├─ TurnFailed
├─ PortFailure
│   ├─ LanguageModelError
│   │   ├─ ModelUnavailable*
│   │   ├─ ModelRateLimited*
│   │   ├─ ModelTimedOut*
│   │   ├─ CircuitOpen*
│   │   ├─ ContextTooLong
│   │   ├─ ContentFiltered
│   │   ├─ ModelReplyMalformed*
│   │   ├─ ModelRejectedRequest
│   │   ├─ ModelQuotaExhausted
│   │   └─ ModelMisconfigured
│   ├─ StorageUnavailable*
│   ├─ CommitUnknown*
│   ├─ VersionConflict*
│   ├─ EventBusError*
│   ├─ MessageQueueError*
│   ├─ ReplyOutletError*
│   ├─ GuardrailError*
│   ├─ KeysUnavailable*
│   ├─ SecretUnavailable*
│   ├─ SecretUnreadable
│   └─ TurnNotStarted*
└─ ConfigurationError

A star marks a transient failure: the same request may succeed later. Failures of a port are
defined beside the port. Names of leaves are public: clients, workflows and alarms match on them.
No message of an error quotes what a customer wrote.
"""

from typing import ClassVar

from prosa.domain.identifiers import ConversationId, TurnId


class ProsaError(Exception):
    """The root of everything that Prosa raises on purpose."""


class RuleViolation(ProsaError):
    """The conversation's rules forbid what was asked."""


class ConversationClosed(RuleViolation):
    """The conversation is closed: it takes no more messages."""

    def __init__(self, conversation_id: ConversationId) -> None:
        super().__init__(f"conversation {conversation_id} is closed; start a new one")
        self.conversation_id = conversation_id


class ConversationBusy(RuleViolation):
    """Another turn of the conversation is running."""

    def __init__(self, conversation_id: ConversationId, retry_after: float) -> None:
        super().__init__(
            f"conversation {conversation_id} is answering another message; "
            f"try again in {retry_after:.0f} s"
        )
        self.conversation_id = conversation_id
        self.retry_after = retry_after
        """Seconds after which to ask again."""


class InvalidField(RuleViolation):
    """A field holds what it may not hold. The message repeats nothing of it."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field} {rule}")
        self.field = field
        """Its name; of metadata also `each key of metadata` or `each value of metadata`."""


class MessageTooLong(RuleViolation):
    """The message has more characters than a message may have."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"a message may have {limit} characters; this one has {length}")
        self.length = length
        self.limit = limit


class TurnWithoutReply(RuleViolation):
    """A turn was to be recorded before a reply was generated for it."""

    def __init__(self, turn_id: TurnId) -> None:
        super().__init__(f"turn {turn_id} has no reply to record: generate one first")
        self.turn_id = turn_id


class NotFound(ProsaError):
    """What was asked for does not exist, or belongs to another tenant or customer."""


class ConversationNotFound(NotFound):
    """No such conversation of this tenant."""

    def __init__(self, conversation_id: ConversationId) -> None:
        super().__init__(f"there is no conversation {conversation_id}")
        self.conversation_id = conversation_id


class TurnNotFound(NotFound):
    """No such turn of this tenant."""

    def __init__(self, turn_id: TurnId) -> None:
        super().__init__(f"there is no turn {turn_id}")
        self.turn_id = turn_id


class PromptNotFound(NotFound):
    """The catalog has no prompt of this name."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(f"there is no prompt named {name!r} in {place}")
        self.name = name


class AccessRefused(ProsaError):
    """It is not known who asks, or who asks may not. The message is for whoever asks."""


class TokenMissing(AccessRefused):
    """No token says who asks."""

    def __init__(self) -> None:
        super().__init__("send one token, in the header `Authorization: Bearer TOKEN`")


class TokenRefused(AccessRefused):
    """The token that says who asks cannot be believed. The message repeats nothing of it."""


class Forbidden(AccessRefused):
    """It is known who asks, and this is not for them."""


class IdempotencyConflict(ProsaError):
    """An idempotency key is in use in a way that forbids this request."""


class KeyTaken(IdempotencyConflict):
    """The key was claimed before: look up by whom, then decide."""

    def __init__(self, key: str) -> None:
        super().__init__("the idempotency key is taken")
        self.key = key


class KeyReused(IdempotencyConflict):
    """The key came before with another body, or for another conversation."""

    def __init__(self) -> None:
        super().__init__("this idempotency key was used before with another request; use a new key")


class TurnInProgress(IdempotencyConflict):
    """The turn of this key is still running."""

    def __init__(self, turn_id: TurnId, retry_after: float) -> None:
        super().__init__(f"turn {turn_id} is still running; ask again in {retry_after:.0f} s")
        self.turn_id = turn_id
        self.retry_after = retry_after
        """Seconds after which to ask again."""


class StaleAttempt(ProsaError):
    """A newer attempt owns the turn, or it is finished: discard this result."""

    def __init__(self, turn_id: TurnId, attempt: int) -> None:
        super().__init__(f"attempt {attempt} does not own turn {turn_id} any more")
        self.turn_id = turn_id
        self.attempt = attempt


class DeadlineExceeded(ProsaError):
    """No answer was ready by the deadline. The turn is failed and may be tried again."""

    def __init__(self, turn_id: TurnId) -> None:
        super().__init__(f"turn {turn_id} had no answer by its deadline")
        self.turn_id = turn_id


class TurnFailed(ProsaError):
    """The turn failed for good: its key will never bring a reply."""

    def __init__(self, turn_id: TurnId, code: str) -> None:
        super().__init__(f"turn {turn_id} failed ({code}); send the message again with a new key")
        self.turn_id = turn_id
        self.code = code


class PortFailure(ProsaError):
    """Something outside did not do its part."""

    transient: ClassVar[bool] = False
    """Whether the same request may succeed later."""


class ConfigurationError(ProsaError):
    """A setting is missing, unknown or wrong. Raised at start-up only."""
