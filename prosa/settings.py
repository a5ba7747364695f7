"""Every configurable value, frozen, read once at the edge: environment, `.env`, or keywords.

A keyword of `Settings(...)` wins over the environment, which wins over `.env`. An unknown name or a
bad value is a ConfigurationError with one sentence that never repeats a secret. In the place of any
value a reference may stand, `secretsmanager:NAME`, `secretsmanager:NAME#KEY` or `ssm:NAME`:
`prosa.read_settings` reads what it leads to, but for those in READ_AGAIN, which are read whenever
they are used.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv.parser import parse_stream
from pydantic import (
    BeforeValidator,
    DirectoryPath,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from prosa.domain.errors import ConfigurationError

PREFIX = "PROSA_"
ENV_FILE = ".env"
SQLITE = "sqlite+aiosqlite"
POSTGRES = "postgresql+asyncpg"
POSTGRES_OPTIONS = ("host", "port", "ssl", "passfile", "target_session_attrs")
"""What may stand behind the question mark of an address of Postgres."""
LAST_PORT = 65_535
ADAPTERS = ("bedrock", "local", "openai", "scripted")
"""The language models that `PROSA_MODELS` may name."""
EVENT_BUSES = ("log", "eventbridge")
"""What `PROSA_EVENT_BUS` may name."""

_MODELS_OF = {"bedrock": "amazon.nova-lite-v1:0", "openai": "gpt-4o-mini"}
"""A model of each adapter that has many."""

READ_AGAIN = frozenset({"database_password", "openai_api_key", "OPENAI_API_KEY"})
"""Settings that are secrets by themselves: what they refer to is read again while it is used.

What any other setting refers to is read once, at the start.
"""

_SECRET = READ_AGAIN | {"database_url", "openai_base_url"}
"""Settings whose value no message repeats: URLs may hold a password."""

_REFERENCES = ("secretsmanager:", "ssm:", "rds:")
"""How a reference begins."""

_ALLOWED = {
    "bool_parsing": "allowed are true and false",
    "bool_type": "allowed are true and false",
    "float_parsing": "it should be a number",
    "float_type": "it should be a number",
    "frozen_set_type": "it should be a text, comma separated",
    "int_from_float": "it should be a whole number",
    "int_parsing": "it should be a whole number",
    "int_type": "it should be a whole number",
    "path_not_directory": "there is no such folder",
    "path_not_file": "there is no such file",
    "path_type": "it should be a path",
    "string_too_short": "it should not be empty",
    "string_type": "it should be a text",
    "too_short": "it should name one at least",
    "tuple_type": "it should be a text, comma separated",
}
"""What to say where pydantic's own words are no sentence for a person."""

_POSTGRES_ADDRESS = re.compile(
    r"postgresql\+asyncpg://"
    r"(?:[^/?#@]*@)?"  # user and password
    r"(?P<server>(?:\[[^]/?#@]*\]|[^[:/?#@]*)(?::(?P<port>\d{1,5}))?)"
    r"(?:/(?P<database>[^?@]*))?"
    r"(?:\?(?P<options>[^@]*))?"
)

_STRAY_AT = (
    "has an @ where none belongs: / ? # and @ of a password have to be percent-encoded "
    "(%2F %3F %23 %40)"
)

_KUBERNETES = re.compile(r"(\w+_)?(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP|SCTP))\w*")
"""What Kubernetes sets, behind our prefix, beside any service whose name begins with `prosa`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referred:
    """What a reference leads to, for the setting that holds it. No message repeats the text."""

    reference: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """One model of the chain: which adapter, and what that adapter calls it."""

    adapter: str
    model: str = ""

    def __str__(self) -> str:
        """Write it as `PROSA_MODELS` does."""
        return f"{self.adapter}:{self.model}" if self.model else self.adapter


def _models(value: object) -> object:
    """Read the chain: comma separated, each `adapter:model` split at its first colon."""
    if not isinstance(value, str):
        return value
    chain = tuple(_model_name(entry.strip()) for entry in value.split(","))
    for name in chain:
        if chain.count(name) > 1:
            raise ValueError(f"names {name} more than once; a chain has each model once")
    return chain


def _model_name(entry: str) -> ModelName:
    adapter, _, model = entry.partition(":")
    if adapter not in ADAPTERS:
        raise ValueError(f"names {adapter!r}{_meant(adapter, ADAPTERS)}: {_one_of(ADAPTERS)}")
    if adapter in _MODELS_OF and not model:
        raise ValueError(
            f"names {adapter} without a model; write it as in {adapter}:{_MODELS_OF[adapter]}"
        )
    if adapter == "local" and model:
        raise ValueError("names a model for local; PROSA_LOCAL_MODEL says which file it reads")
    return ModelName(adapter=adapter, model=model)


def _guardrail(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"\S+:(DRAFT|[0-9]+)", value):
        raise ValueError(f"is {value!r}; write ID:VERSION, as in gr-abc123:1 or gr-abc123:DRAFT")
    return value


def _event_bus(value: object) -> object:
    kind, colon, name = str(value).partition(":")
    if kind not in EVENT_BUSES:
        raise ValueError(f"names {kind!r}{_meant(kind, EVENT_BUSES)}: {_one_of(EVENT_BUSES)}")
    if colon and (kind != "eventbridge" or not name):
        raise ValueError(f"is {value!r}; write log, eventbridge or eventbridge:NAME")
    if name.startswith("arn:"):
        raise ValueError(
            "names a bus by its ARN; write the name of one in this account, and where events are "
            "for another account have a rule there that sends them on"
        )
    return value


def _turn_runner(value: object) -> object:
    if value != "inline" and not re.fullmatch(r"step_functions:arn:[^:\s]+:states:\S+", str(value)):
        raise ValueError(f"is {value!r}; write inline, or step_functions:ARN of a state machine")
    return value


def _database_url(value: object) -> object:
    scheme, separator, place = str(value).partition("://")
    if not separator or not place:
        raise ValueError(f"is no database URL; write {SQLITE}:///FILE or {POSTGRES}://…")
    if scheme in {"postgres", "postgresql"}:
        raise ValueError(f"begins with {scheme}://; write {POSTGRES}://…")
    if scheme not in {SQLITE, POSTGRES}:
        raise ValueError(f"begins with {scheme}://: {_one_of((SQLITE, POSTGRES))}")
    if scheme == SQLITE and not re.fullmatch(r"/(?!file:|:memory:)[^?]+", place):
        raise ValueError(f"names no file; write {SQLITE}:///FILE")
    if scheme == POSTGRES:
        _require_known_options(_postgres_address(str(value))["options"] or "")
    return value


def _postgres_address(address: str) -> re.Match[str]:
    """Take an address of Postgres apart. Raises ValueError, which repeats nothing of it."""
    if _has_stray_at(address):
        raise ValueError(f"{_STRAY_AT}, or it goes in PROSA_DATABASE_PASSWORD")
    found = _POSTGRES_ADDRESS.fullmatch(address)
    if found is None or int(found["port"] or 0) > LAST_PORT:
        raise ValueError(
            f"names no server; write HOST or HOST:PORT, where the port is a number up to "
            f"{LAST_PORT}, as in {POSTGRES}://USER:PASSWORD@HOST:5432/NAME"
        )
    return found


def _require_known_options(query: str) -> None:
    for option, value in parse_qsl(query, keep_blank_values=True):
        if option == "sslmode":
            raise ValueError("has sslmode; its driver calls that ssl, as in ?ssl=require")
        if option == "port" and not re.fullmatch("[0-9,]+", value):
            raise ValueError("has an option port that is no number, as in ?port=5432")
        if option not in POSTGRES_OPTIONS:  # not named: it may be a part of a password
            raise ValueError(f"has an unknown option: {_one_of(POSTGRES_OPTIONS)}")


def _time_zone(value: object) -> object:
    try:
        return value if isinstance(value, ZoneInfo) else ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"is {value!r}; write a time zone as in America/Sao_Paulo") from None


def _has_stray_at(address: str) -> bool:
    """Whether a part of a password would be taken for a host or a path, and shown as one."""
    return "@" in re.sub("^[^/?#@]*@", "", address.partition("://")[2])


def _http_url(value: object) -> object:
    if isinstance(value, str) and not re.match(r"https?://[^/\s]", value):
        raise ValueError("is no address of a server; write it as in http://127.0.0.1:11434/v1")
    if _has_stray_at(str(value)):
        raise ValueError(_STRAY_AT)
    return value


def _origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    origins = tuple(origin.strip() for origin in value.split(",") if origin.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
            raise ValueError(
                f"names {origin!r}; an origin is a scheme and a host, as in https://www.example.com"
            )
    return origins


def _issuer(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"https?://[^/\s]\S*", value):
        raise ValueError(f"is {value!r}; an issuer is an address, as in https://login.example.com")
    return value


def _client_ids(value: object) -> object:
    if not isinstance(value, str):
        return value
    return frozenset(client.strip() for client in value.split(",") if client.strip())


def _key_set_url(value: object) -> object:
    if isinstance(value, str) and not re.match(r"(https?://[^/\s]|file:.)", value):
        raise ValueError(f"is {value!r}; write https://… or, while developing, file:PATH")
    return value


def _queue_url(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"https?://\S+/\S+\.fifo", value):
        raise ValueError(
            f"is {value!r}; write the address of a FIFO queue, as in "
            "https://sqs.eu-west-1.amazonaws.com/123456789012/messages.fifo"
        )
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Settings(BaseSettings):
    """What an installation may choose. Raises ConfigurationError."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        enable_decoding=False,  # lists are comma separated here, not JSON
        extra="ignore",  # `.env` may also hold other programs' names; ours are checked below
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        validate_default=False,
    )

    environment: Literal["development", "staging", "production"] = "development"
    """Outside development, start-up is stricter."""

    database_url: Annotated[str, BeforeValidator(_database_url)] = Field(
        default=f"{SQLITE}:///prosa.db", repr=False
    )

    database_password: SecretStr | None = None
    """Postgres's, in the place of one in the URL. What it refers to is read for each new
    connection, so that a rotated one needs no restart; `rds:USER@HOST:PORT` logs in by IAM."""

    models: Annotated[tuple[ModelName, ...], BeforeValidator(_models), Field(min_length=1)] = (
        ModelName(adapter="local"),
    )
    """The model chain, in order of preference: where one fails, the next answers."""

    breaker_failures: int = Field(default=5, ge=1)
    """After how many failures in a row a model is not asked for a while."""

    breaker_rest_seconds: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """How long it is not asked then, before one call tries it."""

    degraded_reply: bool = False
    """Whether a canned sentence answers where no model does; otherwise the turn fails."""

    local_model: FilePath | None = None
    """A GGUF file for `local`; without it, the bundled demonstration weights, if installed."""

    openai_base_url: Annotated[str | None, BeforeValidator(_http_url)] = Field(
        default=None, repr=False
    )
    """Any OpenAI-compatible server; without it, OpenAI's own."""

    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    """Needed only without a base URL. Its mere presence switches nothing."""

    event_bus: Annotated[str, BeforeValidator(_event_bus)] = "log"
    """Where events go: `log` writes them to the log, one line each; `eventbridge` puts them on the
    account's default bus, `eventbridge:NAME` on another."""

    turn_runner: Annotated[str, BeforeValidator(_turn_runner)] = "inline"
    """Where turns run: `inline` in the process that accepts them, be it for HTTP or for a queue,
    `step_functions:ARN` in a state machine, whose functions have these settings."""

    inbound_queue: Annotated[str | None, BeforeValidator(_queue_url)] = None
    """An SQS FIFO queue to which channels push customers' messages: `prosa consume` takes them."""

    reply_queue: Annotated[str | None, BeforeValidator(_queue_url)] = None
    """An SQS FIFO queue for the replies to them."""

    bedrock_guardrail: Annotated[str | None, BeforeValidator(_guardrail)] = None
    """A guardrail of Bedrock's, `ID:VERSION`, that its models apply within each call."""

    intent_classifier: Literal["rules", "prompted"] = "rules"
    """`prompted` asks the model and costs a call for each turn."""

    prompts: DirectoryPath | None = None
    """A folder of prompts; without it, the bundled ones."""

    locale: Literal["pt-BR", "en"] = "pt-BR"
    """The language of the platform's own sentences; the model answers in the customer's."""

    time_zone: Annotated[ZoneInfo, BeforeValidator(_time_zone)] = Field(
        default_factory=lambda: ZoneInfo("America/Sao_Paulo")
    )
    """Where customers live: which day is today there, the model is told."""

    deadline_seconds: float = Field(default=25.0, gt=0, le=900, allow_inf_nan=False)
    """By when a turn has its answer."""

    auth: Literal["none", "jwt"] = "none"
    """Who may call the HTTP API; `none` is for development, on a loopback address."""

    jwt_issuer: Annotated[str | None, BeforeValidator(_issuer)] = None
    """Whose tokens are believed: exactly what they claim in `iss`."""

    jwt_client_ids: Annotated[frozenset[str], BeforeValidator(_client_ids)] = frozenset()
    """The clients, or audiences, whose tokens are meant for us, comma separated."""

    jwks_url: Annotated[str | None, BeforeValidator(_key_set_url)] = None
    """Where the issuer's keys are; `key_set_url` says what stands for None."""

    jwt_tenant_claim: Annotated[str, Field(min_length=1)] = "tenant_id"

    jwt_role_claim: Annotated[str, Field(min_length=1)] = "role"
    """A claim that is, or lists, `customer` or `service`."""

    jwt_customer_claim: Annotated[str, Field(min_length=1)] = "sub"
    """What a customer's token has as the tenant's reference to the customer."""

    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_origins)] = ()
    """Web pages that may call the HTTP API, comma separated; `*` is any."""

    docs: bool = Field(default_factory=lambda known: known["environment"] != "production")
    """Whether the HTTP API explains itself at /docs; by default everywhere but in production."""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = (
        "INFO"
    )

    log_format: Literal["text", "json"] = Field(
        default_factory=lambda known: "text" if known["environment"] == "development" else "json"
    )
    """`text` is for people, `json` for what gathers logs; by default text in development."""

    telemetry_content: Literal["none", "redacted", "full"] = "none"
    """What was said, in traces: nothing, without addresses and digits, or all of it."""

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - what pydantic makes of them
        """Read what is not given from the environment and `.env`. Raises ConfigurationError."""
        try:
            with _reading_file():
                super().__init__(**values)
        except ValidationError as error:
            # The cause is left out: it may show what was put in.
            raise ConfigurationError(_sentence(error.errors()[0])) from None
        _require_issuer(self)
        _require_use_of_password(self)
        _require_fit_for_environment(self)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Refuse names that mean nothing: pydantic looks only for those it knows."""
        del settings_cls, file_secret_settings
        if isinstance(init_settings, InitSettingsSource):
            _refuse_unknown_keywords(init_settings.init_kwargs)
        for source, place in ((env_settings, "the environment"), (dotenv_settings, ENV_FILE)):
            if isinstance(source, (EnvSettingsSource, DotEnvSettingsSource)):
                _refuse_unknown_variables(source.env_vars, place)
        return init_settings, env_settings, dotenv_settings

    @classmethod
    def references(cls, **values: object) -> Mapping[str, str]:
        """Find the references that are to be read before settings can be made of these values.

        They come by the names of their settings. Raises ConfigurationError.
        """
        with _reading_file():
            written = DotEnvSettingsSource(cls)() | EnvSettingsSource(cls)() | values
        return {
            name: text
            for name in cls.model_fields
            if name not in READ_AGAIN and is_reference(text := written.get(name))
        }

    @field_validator("*", mode="wrap")
    @classmethod
    def _follow(
        cls, value: object, validate: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> object:
        """Take what a reference leads to for the value, and refuse one that was not read."""
        if not isinstance(value, Referred):
            if is_reference(value) and info.field_name not in READ_AGAIN:
                raise ValueError(f"refers to {value}: prosa.read_settings makes such settings")
            return validate(value)
        try:
            return validate(value.text)
        except ValueError:
            wrong = f"refers to {value.reference}, and what is there is no value for it"
        # Outside, so that nothing quotes what was put in.
        raise ValueError(wrong)

    @property
    def uses_sqlite(self) -> bool:
        """Whether the database is embedded."""
        return self.database_url.startswith(f"{SQLITE}:")

    @property
    def sqlite_file(self) -> Path | None:
        """The embedded database's file."""
        path = self.database_url.removeprefix(f"{SQLITE}:///").partition("?")[0]
        return Path(path) if self.uses_sqlite else None

    @property
    def key_set_url(self) -> str:
        """Where the issuer's keys are: Cognito's place for them, unless another is named."""
        return self.jwks_url or f"{(self.jwt_issuer or '').rstrip('/')}/.well-known/jwks.json"

    @property
    def database_place(self) -> str:
        """Where the database is, for people: without its user and password."""
        if self.uses_sqlite:
            return f"the SQLite file {self.sqlite_file}"
        found = _postgres_address(self.database_url)
        server = dict(parse_qsl(found["options"] or "")).get("host", found["server"])
        return f"Postgres at {server or 'localhost'}, database {found['database'] or ''}"


def is_reference(value: object) -> TypeGuard[str]:
    """Whether a setting's value refers to one that is kept elsewhere."""
    return isinstance(value, str) and value.startswith(_REFERENCES)


@contextmanager
def _reading_file() -> Iterator[None]:
    try:
        _refuse_broken_lines(Path(ENV_FILE))
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("cannot read .env: it should be a text in UTF-8") from error


def _refuse_broken_lines(file: Path) -> None:
    """Refuse what would be skipped: nobody wants other settings than those written."""
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as text:
        for line in parse_stream(text):
            if line.error or (line.key is not None and line.value is None):
                written = line.original.string
                blank_lines = written.partition(written.strip())[0].count("\n")
                # Not quoted: it may hold a secret.
                raise ConfigurationError(
                    f"{file}, line {line.original.line + blank_lines}, is no NAME=VALUE: "
                    "is a quotation mark or the equals sign missing?"
                )


def _require_use_of_password(settings: Settings) -> None:
    if settings.database_password is not None and settings.uses_sqlite:
        raise ConfigurationError(
            "PROSA_DATABASE_PASSWORD is set, but PROSA_DATABASE_URL names a SQLite file"
        )


def _require_issuer(settings: Settings) -> None:
    needed = {
        "PROSA_JWT_ISSUER": settings.jwt_issuer,
        "PROSA_JWT_CLIENT_IDS": settings.jwt_client_ids,
    }
    missing = [name for name, value in needed.items() if not value]
    if settings.auth == "jwt" and missing:
        raise ConfigurationError(f"PROSA_AUTH=jwt needs {' and '.join(missing)}")


def _require_fit_for_environment(settings: Settings) -> None:
    if settings.environment == "development":
        return
    if settings.auth == "jwt" and not settings.key_set_url.startswith("https://"):
        raise ConfigurationError(
            f"PROSA_ENVIRONMENT={settings.environment} needs an https:// address of the issuer's "
            "keys in PROSA_JWKS_URL, or in PROSA_JWT_ISSUER"
        )
    if any(name.adapter == "scripted" for name in settings.models):
        raise ConfigurationError(
            f"PROSA_MODELS names scripted, which only pretends to answer: "
            f"PROSA_ENVIRONMENT={settings.environment} needs a language model"
        )
    if settings.environment == "production" and settings.uses_sqlite:
        raise ConfigurationError(
            f"PROSA_DATABASE_URL names a SQLite file: PROSA_ENVIRONMENT=production "
            f"needs {POSTGRES}://…"
        )


def variable(setting: str) -> str:
    """Name the environment variable of a setting."""
    return "OPENAI_API_KEY" if setting == "openai_api_key" else PREFIX + setting.upper()


def _refuse_unknown_keywords(keywords: Mapping[str, object]) -> None:
    fields = Settings.model_fields
    known = {*fields, "OPENAI_API_KEY"}
    for name in keywords:
        if name not in known:
            raise ConfigurationError(f"Settings has no {name!r}{_meant(name, fields)}")


def _refuse_unknown_variables(variables: Mapping[str, str | None], place: str) -> None:
    fields = [name.upper() for name in Settings.model_fields]
    known = {variable(name) for name in Settings.model_fields}
    for written, value in variables.items():
        name = written.upper()
        if not name.startswith(PREFIX) or name in known:
            continue
        bare = name.removeprefix(PREFIX)
        if not _is_from_kubernetes(bare, value or ""):
            meant = _closest(bare, fields)
            guess = f" (did you mean {variable(meant.lower())}?)" if meant else ""
            raise ConfigurationError(
                f"There is no setting {name}{guess}: it is in {place}, "
                "and docs/settings.md has all that there are"
            )


def _is_from_kubernetes(name: str, value: str) -> bool:
    return _KUBERNETES.fullmatch(name) is not None or value.startswith(("tcp://", "udp://"))


def _sentence(error: ErrorDetails) -> str:
    """Say which setting is wrong, what was put in (if it is no secret), and what is allowed."""
    setting = str(error["loc"][0])
    name = setting if setting == "OPENAI_API_KEY" else variable(setting)
    if error["type"] == "value_error":
        return f"{name} {error['ctx']['error']}"
    wrong = "has a wrong value" if setting in _SECRET else f"is {str(error['input'])!r}"
    return f"{name} {wrong}: {allowed(error)}"


def allowed(error: ErrorDetails) -> str:
    """Say what may stand where pydantic found something else."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return _ALLOWED.get(error["type"], error["msg"].replace("Input should", "it should"))


def _one_of(names: Iterable[str]) -> str:
    return f"allowed are {', '.join(names)}"


def _meant(name: str, known: Iterable[str]) -> str:
    """Guess which known name was meant, in brackets."""
    closest = _closest(name, known)
    return f" (did you mean {closest}?)" if closest else ""


def _closest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
