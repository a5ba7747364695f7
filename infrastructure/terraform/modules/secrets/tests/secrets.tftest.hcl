mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:test" }
  }
}

variables {
  name         = "prosa-test"
  account_id   = "123456789012"
  region       = "eu-west-1"
  partition    = "aws"
  is_protected = true
  secrets = {
    openai-api-key = { description = "Of OpenAI." }
    other = {
      description = "Of a provider with an API for it."
      rotation    = { function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:rotate", days = 30 }
    }
  }
}

run "the_key_is_rotated_and_can_be_brought_back" {
  command = plan

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "A key that is lost loses all data."
  }
}

run "secrets_are_encrypted_by_our_key_and_terraform_knows_no_value" {
  command = apply

  assert {
    condition     = alltrue([for one in aws_secretsmanager_secret.this : one.kms_key_id == aws_kms_key.this.arn && one.recovery_window_in_days == 30])
    error_message = "Every secret is encrypted by the environment's key, and can be brought back."
  }

  assert {
    condition     = output.references["openai-api-key"] == "secretsmanager:prosa-test/openai-api-key"
    error_message = "A setting refers to the secret by its name."
  }
}

run "what_can_be_rotated_is" {
  command = apply

  assert {
    condition     = keys(aws_secretsmanager_secret_rotation.this) == ["other"]
    error_message = "A secret with a rotation function is rotated by it."
  }
}

run "nobody_outside_the_account_reads_a_secret" {
  command = apply

  assert {
    condition = alltrue([
      for one in data.aws_iam_policy_document.secret : one.statement[0].effect == "Deny" && one.statement[0].condition != null
    ])
    error_message = "Other accounts are refused."
  }

  assert {
    condition     = alltrue([for one in aws_secretsmanager_secret_policy.this : one.block_public_policy])
    error_message = "A policy that opens a secret to all is refused."
  }
}

run "a_rotation_that_is_rare_is_refused" {
  command = plan

  variables {
    secrets = {
      other = { description = "Old.", rotation = { function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:rotate", days = 365 } }
    }
  }

  expect_failures = [var.secrets]
}
