"""Prosa: an intelligent customer-service conversation platform, as a library.

The public names, and nothing else; each is imported when it is first asked for, so that
`import prosa` loads no technology.
"""
