"""Every statement, as SQLAlchemy's Core builds it: a module for each part, a function for each.

Loaded to compile one, which most starts need not: see `compiling.py` and decision 32.
"""
