"""Settings: where they come from, what they refuse, and in which words."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from prosa.domain.errors import ConfigurationError
from prosa.settings import ModelName, Settings, variable

HUNTER = "hunter2"
DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def refusal(**keywords: object) -> str:
    with pytest.raises(ConfigurationError) as refused:
        Settings(**keywords)
    return str(refused.value)


def test_nothing_has_to_be_set() -> None:
    settings = Settings()
    assert settings.models == (ModelName(adapter="local"),)
    assert settings.database_url == "sqlite+aiosqlite:///prosa.db"
    assert settings.environment == "development"
    assert settings.openai_api_key is None


def test_a_keyword_wins_over_the_environment_which_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text(
        "PROSA_MODELS=openai:from-file\nPROSA_LOCALE=en\nPROSA_DEADLINE_SECONDS=7\nPATH_OF=others\n"
    )
    monkeypatch.setenv("PROSA_MODELS", "openai:from-environment")
    monkeypatch.setenv("PROSA_DEADLINE_SECONDS", "8")
    settings = Settings(deadline_seconds=9)
    assert str(settings.models[0]) == "openai:from-environment"
    assert settings.locale == "en"
    assert settings.deadline_seconds == 9


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSA_MODELS", "")
    assert Settings().models == (ModelName(adapter="local"),)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().locale = "en"  # type: ignore[misc] # it is frozen


@pytest.mark.parametrize(
    ("chain", "adapter", "model"),
    [
        ("local", "local", ""),
        ("scripted", "scripted", ""),
        ("openai:gpt-4o-mini", "openai", "gpt-4o-mini"),
        (" openai:anthropic.claude-v1:0 ", "openai", "anthropic.claude-v1:0"),
    ],
)
def test_a_model_is_split_at_its_first_colon(chain: str, adapter: str, model: str) -> None:
    (name,) = Settings(models=chain).models
    assert name == ModelName(adapter=adapter, model=model)
    assert str(name) == chain.strip()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "PROSA_MODELS",
            "opnai:gpt",
            (
                "PROSA_MODELS names 'opnai' (did you mean openai?): "
                "allowed are bedrock, local, openai, scripted"
            ),
        ),
        (
            "PROSA_MODELS",
            "openai:x, local, openai:x",
            "PROSA_MODELS names openai:x more than once; a chain has each model once",
        ),
        (
            "PROSA_BREAKER_FAILURES",
            "0",
            "PROSA_BREAKER_FAILURES is '0': it should be greater than or equal to 1",
        ),
        (
            "PROSA_BREAKER_FAILURES",
            "2.5",
            "PROSA_BREAKER_FAILURES is '2.5': it should be a whole number",
        ),
        (
            "PROSA_BREAKER_REST_SECONDS",
            "0",
            "PROSA_BREAKER_REST_SECONDS is '0': it should be greater than 0",
        ),
        (
            "PROSA_BREAKER_REST_SECONDS",
            "inf",
            "PROSA_BREAKER_REST_SECONDS is 'inf': it should be a finite number",
        ),
        (
            "PROSA_INBOUND_QUEUE",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/messages",
            (
                "PROSA_INBOUND_QUEUE is 'https://sqs.eu-west-1.amazonaws.com/123456789012/messages'"
                "; write the address of a FIFO queue, as in "
                "https://sqs.eu-west-1.amazonaws.com/123456789012/messages.fifo"
            ),
        ),
        (
            "PROSA_REPLY_QUEUE",
            "replies.fifo",
            (
                "PROSA_REPLY_QUEUE is 'replies.fifo'; write the address of a FIFO queue, as in "
                "https://sqs.eu-west-1.amazonaws.com/123456789012/messages.fifo"
            ),
        ),
        (
            "PROSA_DEGRADED_REPLY",
            "maybe",
            "PROSA_DEGRADED_REPLY is 'maybe': allowed are true and false",
        ),
        (
            "PROSA_MODELS",
            "bedrock",
            (
                "PROSA_MODELS names bedrock without a model; write it as in "
                "bedrock:amazon.nova-lite-v1:0"
            ),
        ),
        (
            "PROSA_BEDROCK_GUARDRAIL",
            "gr-abc123",
            (
                "PROSA_BEDROCK_GUARDRAIL is 'gr-abc123'; write ID:VERSION, as in gr-abc123:1 or "
                "gr-abc123:DRAFT"
            ),
        ),
        (
            "PROSA_MODELS",
            "openai",
            "PROSA_MODELS names openai without a model; write it as in openai:gpt-4o-mini",
        ),
        (
            "PROSA_MODELS",
            "local:x.gguf",
            "PROSA_MODELS names a model for local; PROSA_LOCAL_MODEL says which file it reads",
        ),
        (
            "PROSA_DATABASE_URL",
            "postgres://u:p@h/db",
            "PROSA_DATABASE_URL begins with postgres://; write postgresql+asyncpg://…",
        ),
        (
            "PROSA_DATABASE_URL",
            "mysql://h/db",
            (
                "PROSA_DATABASE_URL begins with mysql://: "
                "allowed are sqlite+aiosqlite, postgresql+asyncpg"
            ),
        ),
        (
            "PROSA_DATABASE_URL",
            "sqlite+aiosqlite:///:memory:",
            "PROSA_DATABASE_URL names no file; write sqlite+aiosqlite:///FILE",
        ),
        (
            "PROSA_DATABASE_URL",
            "sqlite+aiosqlite:///",
            "PROSA_DATABASE_URL names no file; write sqlite+aiosqlite:///FILE",
        ),
        (
            "PROSA_DATABASE_URL",
            "sqlite+aiosqlite:///file:x?mode=memory&uri=true",
            "PROSA_DATABASE_URL names no file; write sqlite+aiosqlite:///FILE",
        ),
        (
            "PROSA_DATABASE_URL",
            "postgresql+asyncpg://u:p@h/db?sslmode=require",
            "PROSA_DATABASE_URL has sslmode; its driver calls that ssl, as in ?ssl=require",
        ),
        (
            "PROSA_DATABASE_URL",
            "postgresql+asyncpg://u:secret@h/db?ssl=require&timeout=5",
            (
                "PROSA_DATABASE_URL has an unknown option: "
                "allowed are host, port, ssl, passfile, target_session_attrs"
            ),
        ),
        (
            "PROSA_DATABASE_URL",
            "postgresql+asyncpg:///db?host=h&port=abc",
            "PROSA_DATABASE_URL has an option port that is no number, as in ?port=5432",
        ),
        (
            "PROSA_TIME_ZONE",
            "America/Brasilia",
            "PROSA_TIME_ZONE is 'America/Brasilia'; write a time zone as in America/Sao_Paulo",
        ),
        (
            "PROSA_LOG_LEVEL",
            "LOUD",
            "PROSA_LOG_LEVEL is 'LOUD': it should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        ),
        (
            "PROSA_DEADLINE_SECONDS",
            "soon",
            "PROSA_DEADLINE_SECONDS is 'soon': it should be a number",
        ),
        (
            "PROSA_DEADLINE_SECONDS",
            "nan",
            "PROSA_DEADLINE_SECONDS is 'nan': it should be a finite number",
        ),
        (
            "PROSA_DEADLINE_SECONDS",
            "0",
            "PROSA_DEADLINE_SECONDS is '0': it should be greater than 0",
        ),
        (
            "PROSA_EVENT_BUS",
            "logs",
            "PROSA_EVENT_BUS names 'logs' (did you mean log?): allowed are log, eventbridge",
        ),
        ("PROSA_AUTH", "basic", "PROSA_AUTH is 'basic': it should be 'none' or 'jwt'"),
        ("PROSA_AUTH", "jwt", "PROSA_AUTH=jwt needs PROSA_JWT_ISSUER and PROSA_JWT_CLIENT_IDS"),
        (
            "PROSA_JWT_ISSUER",
            "login.example.com",
            (
                "PROSA_JWT_ISSUER is 'login.example.com'; "
                "an issuer is an address, as in https://login.example.com"
            ),
        ),
        (
            "PROSA_JWKS_URL",
            "ftp://login.example.com/keys",
            (
                "PROSA_JWKS_URL is 'ftp://login.example.com/keys'; "
                "write https://… or, while developing, file:PATH"
            ),
        ),
        ("PROSA_LOCAL_MODEL", "no.gguf", "PROSA_LOCAL_MODEL is 'no.gguf': there is no such file"),
        ("PROSA_PROMPTS", "nowhere", "PROSA_PROMPTS is 'nowhere': there is no such folder"),
        ("PROSA_DOCS", "perhaps", "PROSA_DOCS is 'perhaps': allowed are true and false"),
        (
            "PROSA_OPENAI_BASE_URL",
            "localhost:11434",
            (
                "PROSA_OPENAI_BASE_URL is no address of a server; "
                "write it as in http://127.0.0.1:11434/v1"
            ),
        ),
        (
            "PROSA_CORS_ORIGINS",
            "https://a.example, b.example",
            (
                "PROSA_CORS_ORIGINS names 'b.example'; "
                "an origin is a scheme and a host, as in https://www.example.com"
            ),
        ),
        (
            "PROSA_ENVIRONMENT",
            "production",
            (
                "PROSA_DATABASE_URL names a SQLite file: PROSA_ENVIRONMENT=production "
                "needs postgresql+asyncpg://…"
            ),
        ),
    ],
)
def test_a_bad_value_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    assert refusal() == sentence


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("PROSA_MODEL", "PROSA_MODEL (did you mean PROSA_MODELS?)"),
        ("prosa_locals", "PROSA_LOCALS (did you mean PROSA_LOCALE?)"),
        ("PROSA_OPENAI_API_KEY", "PROSA_OPENAI_API_KEY (did you mean OPENAI_API_KEY?)"),
        ("PROSA_COLOUR", "PROSA_COLOUR"),
    ],
)
def test_an_unknown_variable_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    monkeypatch.setenv(name, HUNTER)
    assert refusal() == (
        f"There is no setting {sentence}: it is in the environment, "
        "and docs/settings.md has all that there are"
    )


def test_an_unknown_name_in_the_file_is_one_sentence() -> None:
    Path(".env").write_text("PROSA_MODLES=local\n")
    assert refusal() == (
        "There is no setting PROSA_MODLES (did you mean PROSA_MODELS?): it is in .env, "
        "and docs/settings.md has all that there are"
    )


@pytest.mark.parametrize(
    "line", ['PROSA_LOCALE="en', f"PROSA_MODELS {HUNTER}", "PROSA_MODELS", "=x"]
)
def test_a_line_of_the_file_that_would_be_skipped_is_one_sentence(line: str) -> None:
    Path(".env").write_text(f"# of Prosa\n\n{line}\n")
    sentence = ".env, line 3, is no NAME=VALUE: is a quotation mark or the equals sign missing?"
    assert refusal() == sentence
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        Settings.references()


def test_whatever_else_a_file_may_hold_is_read() -> None:
    Path(".env").write_text(
        "\n# a comment\nexport PROSA_LOCALE='en' # said\n\nPROSA_MODELS = \"openai:a\"\nOTHER=\n"
    )
    assert (Settings().locale, str(Settings().models[0])) == ("en", "openai:a")


def test_a_file_that_is_no_text_is_one_sentence() -> None:
    Path(".env").write_bytes("PROSA_LOCALE=ção".encode("latin-1"))
    assert refusal() == "cannot read .env: it should be a text in UTF-8"


def test_an_unknown_keyword_is_one_sentence() -> None:
    assert refusal(model="local") == "Settings has no 'model' (did you mean models?)"


def test_what_kubernetes_sets_beside_a_service_named_prosa_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROSA_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("PROSA_API_SERVICE_PORT_HTTP", "80")
    monkeypatch.setenv("PROSA_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("PROSA_PORT_80_TCP_ADDR", "10.0.0.1")
    assert Settings().environment == "development"


@pytest.mark.parametrize("password", ["hun/ter2", "hun?ter2", "hun#ter2", "hun@ter2", "/?#@:"])
@pytest.mark.parametrize("rest", ["h.invalid/shop", "h:5432", "h/shop?ssl=require"])
def test_a_password_that_would_be_taken_for_something_else_is_refused_unsaid(
    password: str, rest: str
) -> None:
    assert refusal(database_url=f"postgresql+asyncpg://ana:{password}@{rest}") == (
        "PROSA_DATABASE_URL has an @ where none belongs: / ? # and @ of a password have to be "
        "percent-encoded (%2F %3F %23 %40), or it goes in PROSA_DATABASE_PASSWORD"
    )
    assert refusal(openai_base_url=f"http://ana:{password}@{rest}") == (
        "PROSA_OPENAI_BASE_URL has an @ where none belongs: / ? # and @ of a password have to be "
        "percent-encoded (%2F %3F %23 %40)"
    )


@pytest.mark.parametrize("password", ["%2F%3F%23%40", "a:b", "a%b c[é]", "℀", ""])
def test_any_password_may_be_written_and_is_never_shown(password: str) -> None:
    settings = Settings(database_url=f"postgresql+asyncpg://ana:{password}@[::1]:5432/shop")
    assert settings.database_place == "Postgres at [::1]:5432, database shop"


@pytest.mark.parametrize(
    "server", ["h:abc", "h:", "h:65536", "h:123456", "h:1:2", "[::1", "[::1]x"]
)
def test_a_server_that_is_none_is_one_sentence(server: str) -> None:
    assert refusal(database_url=f"postgresql+asyncpg://u:{HUNTER}@{server}/shop") == (
        "PROSA_DATABASE_URL names no server; write HOST or HOST:PORT, where the port is a number "
        "up to 65535, as in postgresql+asyncpg://USER:PASSWORD@HOST:5432/NAME"
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("models", 5, "PROSA_MODELS is '5': it should be a text, comma separated"),
        ("models", (), "PROSA_MODELS is '()': it should name one at least"),
        ("jwt_client_ids", 5, "PROSA_JWT_CLIENT_IDS is '5': it should be a text, comma separated"),
        ("breaker_failures", 2.5, "PROSA_BREAKER_FAILURES is '2.5': it should be a whole number"),
        ("breaker_failures", [], "PROSA_BREAKER_FAILURES is '[]': it should be a whole number"),
        ("deadline_seconds", [], "PROSA_DEADLINE_SECONDS is '[]': it should be a number"),
        ("docs", [], "PROSA_DOCS is '[]': allowed are true and false"),
        ("prompts", 5, "PROSA_PROMPTS is '5': it should be a path"),
        ("jwt_tenant_claim", 5, "PROSA_JWT_TENANT_CLAIM is '5': it should be a text"),
        ("jwt_tenant_claim", "", "PROSA_JWT_TENANT_CLAIM is '': it should not be empty"),
        ("database_password", 5, "PROSA_DATABASE_PASSWORD has a wrong value: it should be a text"),
    ],
)
def test_a_bad_keyword_is_one_sentence(name: str, value: object, sentence: str) -> None:
    assert refusal(**{name: value}) == sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", HUNTER),
        ("database_url", f"postgres://u:{HUNTER}@h/db"),
        ("openai_base_url", f"user:{HUNTER}@h"),
        ("openai_base_url", [HUNTER]),
        ("openai_api_key", [HUNTER]),
    ],
)
def test_no_message_repeats_a_secret(name: str, value: object) -> None:
    assert HUNTER not in refusal(**{name: value})


def test_showing_settings_shows_no_secret() -> None:
    settings = Settings(
        database_url=f"postgresql+asyncpg://u:{HUNTER}@h:5/db",
        openai_base_url=f"http://u:{HUNTER}@h/v1",
        openai_api_key=HUNTER,
    )
    assert HUNTER not in repr(settings) + settings.database_place


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sqlite+aiosqlite:///prosa.db", "the SQLite file prosa.db"),
        ("sqlite+aiosqlite:////var/prosa.db", "the SQLite file /var/prosa.db"),
        ("postgresql+asyncpg://u:p@h:5433/shop", "Postgres at h:5433, database shop"),
        ("postgresql+asyncpg:///shop?host=/run/pg", "Postgres at /run/pg, database shop"),
    ],
)
def test_the_database_is_named_for_people(url: str, place: str) -> None:
    assert Settings(database_url=url).database_place == place


def test_outside_development_a_language_model_has_to_answer() -> None:
    assert refusal(environment="staging", models="scripted") == (
        "PROSA_MODELS names scripted, which only pretends to answer: "
        "PROSA_ENVIRONMENT=staging needs a language model"
    )


def test_the_http_api_explains_itself_but_in_production() -> None:
    postgres = "postgresql+asyncpg://h/db"
    assert Settings(environment="staging", database_url=postgres).docs
    assert not Settings(environment="production", database_url=postgres).docs
    assert Settings(environment="production", database_url=postgres, docs=True).docs


def test_origins_are_separated_by_commas() -> None:
    settings = Settings(cors_origins="https://a.example, http://b.example:8080,")
    assert settings.cors_origins == ("https://a.example", "http://b.example:8080")
    assert Settings(cors_origins="*").cors_origins == ("*",)


def test_a_chain_of_models_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSA_MODELS", "openai:b, local ,openai:a")
    assert [str(name) for name in Settings().models] == ["openai:b", "local", "openai:a"]


def test_clients_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSA_JWT_CLIENT_IDS", "web, app ,")
    assert Settings().jwt_client_ids == {"web", "app"}


def test_an_issuer_without_clients_is_not_enough() -> None:
    missing = refusal(auth="jwt", jwt_issuer="https://a.example", jwt_client_ids=" , ")
    assert missing == "PROSA_AUTH=jwt needs PROSA_JWT_CLIENT_IDS"


def test_keys_are_where_cognito_has_them_unless_another_place_is_named() -> None:
    for issuer in ("https://a.example/pool", "https://a.example/pool/"):
        settings = Settings(jwt_issuer=issuer)
        assert settings.key_set_url == "https://a.example/pool/.well-known/jwks.json"
        assert settings.jwt_issuer == issuer  # to the letter
    named = Settings(jwt_issuer="https://a.example", jwks_url="https://a.example/certs")
    assert named.key_set_url == "https://a.example/certs"


@pytest.mark.parametrize(
    "places",
    [
        {"jwt_issuer": "https://a.example", "jwks_url": "file:.prosa/jwks.json"},
        {"jwt_issuer": "https://a.example", "jwks_url": "http://a.example/keys"},
        {"jwt_issuer": "http://a.example"},
    ],
)
def test_outside_development_keys_come_from_where_nobody_can_change_them(
    places: dict[str, str],
) -> None:
    identity = {"auth": "jwt", "jwt_client_ids": "web", **places}
    assert "needs an https:// address" in refusal(environment="staging", **identity)
    assert Settings(**identity).auth == "jwt"


def test_the_documentation_has_every_setting_and_no_other() -> None:
    names = [line.split("|")[1] for line in DOCUMENT.read_text("utf-8").splitlines() if "|" in line]
    documented = set(re.findall(r"`((?:PROSA|OPENAI)_\w+)`", "".join(names)))
    assert documented == set(map(variable, Settings.model_fields))
