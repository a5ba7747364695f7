"""Step Functions: one file a state machine, one handler for AWS Lambda a task."""
