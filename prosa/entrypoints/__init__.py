"""The ways in: HTTP and the command line, each a thin layer over the use cases."""
