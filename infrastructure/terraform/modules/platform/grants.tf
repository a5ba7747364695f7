# What functions may be granted, by what they do. Beside each action of AWS's is the adapter that calls it: a test
# compares them with the calls that adapters make.

locals {
  grants = {
    # Postgres, as the role that reads and writes.
    database = [
      { actions = ["rds-db:connect"], resources = [module.database.connect_arns.app] },
    ]

    # Postgres, as the role that owns the tables.
    database_owner = [
      { actions = ["rds-db:connect"], resources = [module.database.connect_arns.migrator] },
    ]

    # prosa/adapters/secrets_manager
    secrets = [
      { actions = ["secretsmanager:GetSecretValue"], resources = values(module.secrets.secret_arns) },
      { actions = ["kms:Decrypt"], resources = length(var.secrets) > 0 ? [module.secrets.kms_key_arn] : [] },
    ]

    # prosa/adapters/eventbridge
    events = [
      { actions = ["events:PutEvents", "events:DescribeEventBus"], resources = [module.event_bus.arn] },
    ]

    # prosa/adapters/bedrock
    models = [
      { actions = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"], resources = var.bedrock_model_arns },
      {
        actions = ["bedrock:ApplyGuardrail"]
        resources = var.bedrock_guardrail == null ? [] : [
          "arn:${local.partition}:bedrock:${var.region}:${local.account_id}:guardrail/${var.bedrock_guardrail.id}",
        ]
      },
    ]

    # prosa/adapters/step_functions
    turns = [
      { actions = ["states:StartExecution"], resources = [local.state_machine_arn] },
    ]

    # The same, for whether the server is ready.
    look_at_turns = [
      { actions = ["states:DescribeStateMachine"], resources = [local.state_machine_arn] },
    ]

    # prosa/adapters/sqs
    replies = [
      { actions = ["sqs:SendMessage"], resources = [module.queues.replies.arn] },
      { actions = ["kms:Decrypt", "kms:GenerateDataKey"], resources = [module.secrets.kms_key_arn] },
    ]

    # Lambda itself takes messages for the function, as its role.
    messages = [
      { actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], resources = [module.queues.messages.arn] },
      { actions = ["kms:Decrypt"], resources = [module.secrets.kms_key_arn] },
    ]
  }
}
