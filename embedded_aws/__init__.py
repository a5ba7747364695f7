"""AWS on this machine, without an account: moto, a Bedrock with a model behind it, and Prosa."""
