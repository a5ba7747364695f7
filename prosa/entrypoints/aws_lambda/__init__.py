"""Prosa on AWS Lambda: one file a function, each with its `handler`."""
