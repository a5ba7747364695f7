"""HTTP: the API of conversations, messages and turns (FastAPI, any ASGI server)."""
