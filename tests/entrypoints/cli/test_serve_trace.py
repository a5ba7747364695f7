"""`prosa serve --trace`: where the time of each turn went, on the terminal."""

import re
import signal

from tests.entrypoints.cli.running import SECONDS, CommandLine
from tests.entrypoints.cli.test_serve import serving


def test_a_served_turn_is_shown_with_its_events(prosa: CommandLine) -> None:
    with serving(prosa, "--trace") as (server, client):
        answer = client.post("/v1/messages", json={"text": "Olá!"})
        assert answer.status_code == 200
        server.send_signal(signal.SIGTERM)
        shown, logged = server.communicate(timeout=SECONDS)
    assert logged == ""
    turn = answer.json()["id"]
    assert re.search(rf"^trace [0-9a-f]{{32}}  {turn}$", shown, re.MULTILINE)
    for step in ("POST /v1/messages  200", "├─ accept", "chat scripted", "publish conversation."):
        assert step in shown
    assert server.returncode == 0


def test_several_processes_are_not_traced_together(prosa: CommandLine) -> None:
    result = prosa.run("serve", "--trace", "--workers", "2", "--port", "0")
    assert result.returncode == 1
    assert "--trace shows the turns of one process" in result.stderr
