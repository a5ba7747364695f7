"""What `prosa chat` says itself, in the languages that it speaks."""

from dataclasses import dataclass
from typing import Literal

from prosa.domain.message import Role
from prosa.entrypoints.cli.in_words import DEMONSTRATION


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatWords:
    """The sentences of the chat; those in braces are filled in."""

    demonstration: str
    greeting: str
    resumed: str
    earlier: str
    thinking: str
    no_answer: str
    interrupted: str
    farewell: str
    closed: str
    help: str
    speakers: dict[Role, str]


PORTUGUESE = ChatWords(
    demonstration="pesos de demonstração: um modelo pequeno, que só fala inglês",
    greeting="Quem responde é {model}. Escreva sua mensagem; /sair encerra.",
    resumed="Quem responde é {model}. Esta é a conversa {conversation}; /sair encerra.",
    earlier="(antes disso, mais {count} mensagens)",
    thinking="pensando…",
    no_answer="A mensagem foi guardada; uma pessoa está cuidando desta conversa.",
    interrupted="Resposta interrompida.",
    farewell="Para continuar esta conversa:",
    closed="Esta conversa está encerrada.",
    help="/ajuda ou /help mostra estas palavras; /sair ou /quit encerra.",
    speakers={
        Role.USER: "Você",
        Role.ASSISTANT: "Prosa",
        Role.TOOL: "Ferramenta",
        Role.AGENT: "Atendente",
    },
)

ENGLISH = ChatWords(
    demonstration=DEMONSTRATION,
    greeting="{model} answers. Write your message; /quit ends the chat.",
    resumed="{model} answers. This is conversation {conversation}; /quit ends the chat.",
    earlier="({count} more messages before that)",
    thinking="thinking…",
    no_answer="The message is stored; a person is looking after this conversation.",
    interrupted="Answer interrupted.",
    farewell="To go on with this conversation:",
    closed="This conversation is closed.",
    help="/help or /ajuda shows these words; /quit or /sair ends the chat.",
    speakers={Role.USER: "You", Role.ASSISTANT: "Prosa", Role.TOOL: "Tool", Role.AGENT: "Agent"},
)

WORDS: dict[Literal["pt-BR", "en"], ChatWords] = {"pt-BR": PORTUGUESE, "en": ENGLISH}
