"""A language model in this process, by llama.cpp: no server, no key, nothing leaves the machine.

llama.cpp computes in threads of its own. A call waits for it in one of a few threads, one a slot,
and passes each piece on to the event loop. By what the callback returns a computation is stopped:
within a token, or, while it still reads the conversation, within `BATCH_TOKENS`.
"""

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from pathlib import Path

import xllamacpp

from prosa.adapters.chat_completions import Completion, request_body
from prosa.adapters.deadline import answering_by
from prosa.application.ports.language_model import (
    LanguageModel,
    ModelMisconfigured,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelRequest,
    ModelUnavailable,
    OnText,
)
from prosa.domain.errors import ConfigurationError
from prosa.domain.identifiers import Clock
from prosa.domain.reply import Reply

BATCH_TOKENS = 128
"""How many tokens of a conversation are read at a time; in between, a call can be stopped."""

_MAGIC = b"GGUF"
_SILENT = -1


REPEAT_PENALTY = 1.15
REPEAT_TOKENS = 256
"""How much less likely a token becomes that was among the last so many. Of five short questions
the demonstration weights ran four into the limit of tokens without it, and none with it."""


class LlamaCppLanguageModel(LanguageModel):
    """A GGUF file that answers. `open` loads it, or else the first call does; `aclose` ends it."""

    def __init__(
        self,
        *,
        model_path: Path,
        clock: Clock,
        context_tokens: int = 2_048,
        slots: int = 2,
        threads: int | None = None,
    ) -> None:
        """Load nothing yet.

        `context_tokens` is what one conversation may have; `slots` how many are computed at once,
        others wait; `threads` how many cores compute: None lets llama.cpp choose.
        """
        self._model_path = model_path
        self._clock = clock
        self._context_tokens = context_tokens
        self._slots = slots
        self._compute_threads = threads
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="llama_cpp")
        self._loading: Future[xllamacpp.Server] | None = None
        self._closing = threading.Event()

    @property
    def name(self) -> str:
        """Always `local`."""
        return "local"

    @property
    def context_tokens(self) -> int:
        """What a slot holds."""
        return self._context_tokens

    @property
    def needs_alternating_roles(self) -> bool:
        """Many models' chat templates do, and the rest do not mind."""
        return True

    async def open(self) -> None:
        """Load the weights, off the event loop: 0.3 to 1 s for 100 MB.

        Raises ConfigurationError where the file is missing or no model.
        """
        await self._server()

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; see the port."""
        async with answering_by(request.deadline, self._clock):
            body = _body(request)
            try:
                server = await self._server()
            except ConfigurationError as error:
                raise ModelMisconfigured(str(error)) from error
            request.budget.spend()
            completion = Completion(self.name)
            async with aclosing(self._chunks(server, body)) as chunks:
                async for chunk in chunks:
                    text = completion.add(chunk)
                    if text and on_text:
                        await on_text(text)
            return completion.reply(provider="llama_cpp", model=self._model_path.stem)

    async def aclose(self) -> None:
        """Stop what is being computed and let go of the weights."""
        self._closing.set()
        await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        self._threads.shutdown()
        self._loading = None

    async def _server(self) -> xllamacpp.Server:
        """Give the loaded model; who comes while it is being loaded waits for the same one."""
        if self._closing.is_set():
            raise ModelUnavailable(f"{self.name} is closed")
        if self._loading is None:
            self._loading = self._threads.submit(self._load)
        # Shielded, so that one caller's deadline does not end it for the others.
        return await asyncio.shield(asyncio.wrap_future(self._loading))

    def _load(self) -> xllamacpp.Server:
        _check(self._model_path)
        try:
            return xllamacpp.Server(self._parameters())
        except RuntimeError as error:
            raise ConfigurationError(
                f"{self._model_path} cannot be loaded: it is damaged, made for a newer llama.cpp, "
                "or too large for this machine's memory"
            ) from error

    def _parameters(self) -> xllamacpp.CommonParams:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self._model_path)
        parameters.n_parallel = self._slots
        parameters.n_ctx = self._context_tokens * self._slots
        parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
        parameters.use_jinja = True
        parameters.warmup = False
        parameters.verbosity = _SILENT
        # It cannot be had without its HTTP server: on the loopback, any free port, under a key
        # that nobody knows.
        parameters.port = 0
        parameters.api_keys = [secrets.token_urlsafe(32)]
        parameters.ui = False
        if self._compute_threads is not None:
            parameters.cpuparams.n_threads = self._compute_threads
            parameters.cpuparams_batch.n_threads = self._compute_threads
        return parameters

    async def _chunks(self, server: xllamacpp.Server, body: bytes) -> AsyncGenerator[object]:
        """Compute in a thread and give each chunk as it comes; being closed, stop computing."""
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        stop = threading.Event()

        def arrived(chunk: bytes) -> bool:
            if stop.is_set() or self._closing.is_set():
                return True
            loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            return False

        def ended(call: asyncio.Future[None]) -> None:
            # Looked at here, too: whoever has stopped listening does not look.
            if not call.cancelled():
                call.exception()
            chunks.put_nowait(None)

        with _errors_translated(self.name):
            call = loop.run_in_executor(
                self._threads, server.handle_chat_completions, body, arrived
            )
            call.add_done_callback(ended)
            try:
                while (chunk := await chunks.get()) is not None:
                    yield json.loads(chunk)
                await call
            finally:
                stop.set()
                call.cancel()


def _check(model_path: Path) -> None:
    """Refuse what is plainly no model: llama.cpp itself does not say what is wrong."""
    try:
        with model_path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise ConfigurationError(f"the model file {model_path} cannot be read: {reason}") from error
    if magic != _MAGIC:
        raise ConfigurationError(
            f"{model_path} is not a language model: llama.cpp reads GGUF files"
        )


def _body(request: ModelRequest) -> bytes:
    body = request_body(request) | {
        "max_tokens": request.max_output_tokens,
        # Small models fall into saying one sentence for ever.
        "repeat_penalty": REPEAT_PENALTY,
        "repeat_last_n": REPEAT_TOKENS,
        # Always streamed, and with progress: a call that sends nothing cannot be stopped.
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
    }
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ModelRejectedRequest("the conversation is not valid Unicode") from error


@contextmanager
def _errors_translated(source: str) -> Iterator[None]:
    """Turn what llama.cpp raises into the port's errors, without its words: they may quote."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise ModelReplyMalformed(f"the answer of {source} is not JSON") from error
    except ValueError as error:
        error.args = ("invalid argument",)
        raise ModelRejectedRequest(f"{source} refused the request") from error
    except RuntimeError as error:
        error.args = ("runtime error",)
        raise ModelUnavailable(f"{source} failed") from error
