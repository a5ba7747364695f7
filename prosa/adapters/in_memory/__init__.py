"""Adapters that keep everything in this process: shipped, for tests and trials of your own."""
