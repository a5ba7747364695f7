#!/bin/sh
# What the Lambda Web Adapter starts: the server itself, on the port that the adapter asks.
exec python3 -m prosa serve --host 127.0.0.1 --port "${AWS_LWA_PORT:-8000}"
