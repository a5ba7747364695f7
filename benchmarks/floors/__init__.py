"""Servers that do a turn's bare work and promise nothing: what Prosa is measured against."""
