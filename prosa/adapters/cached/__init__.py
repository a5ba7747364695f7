"""Adapters that remember what another one answered."""
