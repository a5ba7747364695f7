"""The conformance kit: one contract class a port, for adapters of your own, too."""
