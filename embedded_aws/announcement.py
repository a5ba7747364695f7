"""What is said when all runs: what is where, and what to try."""

from embedded_aws.account import BUS, DEAD, EVENTS, INBOUND, REPLIES, USERS
from embedded_aws.database import SECRET
from embedded_aws.installation import FILE
from embedded_aws.moto_server import REGION

AGAIN = ".venv/bin/python -m embedded_aws"


def announcement(*, http: str, aws: str, bedrock: str, behind: str, runner: str) -> str:
    """Say what is where, by its addresses, and what to try."""
    users = ", and ".join(f"{user}, a {role}" for user, role in USERS.items())
    return f"""
AWS and Prosa run on this machine. Nothing leaves it, and nothing is kept when they end.

  Prosa    {http:<24}prosa serve; its turns run {runner}; {http}/docs
           {"SQS":<24}prosa consume: from {INBOUND} to {REPLIES}, dead letters in {DEAD}
  AWS      {aws:<24}moto, region {REGION}
           {"EventBridge":<24}bus {BUS}; a rule sends its events to the queue {EVENTS}
           {"Cognito":<24}{users}
           {"Secrets Manager":<24}{SECRET}: the password of Prosa's Postgres
  Bedrock  {bedrock:<24}whichever model is asked: {behind}

In a second terminal, in this folder:

  # a customer asks, with a token of the user pool
  curl {http}/v1/messages -H "authorization: Bearer $({AGAIN} token)" \\
    -H 'content-type: application/json' -d '{{"text": "Hello! Where is my order?"}}'

  # a channel pushes a message to its queue, and the reply comes out of the other
  {AGAIN} push 'Hello! How do I cancel my order?'

  # what the bus has delivered
  {AGAIN} events

  # a new password for the database: Prosa goes on, without a restart
  {AGAIN} rotate

  # with these variables any SDK, the AWS CLI and every command of Prosa's finds all of it
  (. {FILE} && .venv/bin/prosa doctor)

Ctrl-C ends it all."""
