"""Amazon Bedrock: every model family that speaks Converse, and Bedrock Guardrails."""
