"""Bedrock's runtime on the loopback: moto has none."""
