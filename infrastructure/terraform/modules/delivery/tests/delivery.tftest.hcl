mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/test" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::artifacts" }
  }
}

variables {
  name              = "prosa-test"
  account_id        = "123456789012"
  region            = "eu-west-1"
  partition         = "aws"
  repository        = "example/prosa"
  environment       = "test"
  state             = { bucket_arn = "arn:aws:s3:::example-state", key = "prosa/test.tfstate" }
  function_names    = { http = "prosa-test-http" }
  deployment_config = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
  watched_alarms    = ["prosa-test-api-errors"]
  error_alarms      = { http = "prosa-test-http-errors" }
  is_protected      = true
  kms_key_arn       = "arn:aws:kms:eu-west-1:123456789012:key/test"
}

run "only_jobs_of_this_environment_deploy" {
  command = apply

  assert {
    condition = toset(flatten([
      for one in data.aws_iam_policy_document.trust["deploy"].statement[0].condition : one.values if one.test == "StringEquals"
    ])) == toset(["sts.amazonaws.com", "repo:example/prosa:environment:test"])
    error_message = "Audience and subject are compared whole, and the subject names the environment."
  }
}

run "pull_requests_and_main_plan_and_no_other_branch" {
  command = apply

  assert {
    condition = toset(flatten([
      for one in data.aws_iam_policy_document.trust["plan"].statement[0].condition : one.values if one.variable == "token.actions.githubusercontent.com:sub"
    ])) == toset(["repo:example/prosa:pull_request", "repo:example/prosa:ref:refs/heads/main"])
    error_message = "What plans before an approval is a pull request, or main."
  }
}

run "a_pull_request_reads_and_sees_nothing_of_customers" {
  command = apply

  assert {
    condition     = aws_iam_role_policy_attachment.plan.policy_arn == "arn:aws:iam::aws:policy/ReadOnlyAccess"
    error_message = "To plan is to read."
  }

  assert {
    condition     = contains(one([for one in data.aws_iam_policy_document.plan.statement : one.actions if one.effect == "Deny"]), "secretsmanager:GetSecretValue")
    error_message = "Secrets are not for pull requests."
  }

  assert {
    condition     = one([for one in data.aws_iam_policy_document.plan.statement : one.resources if one.sid == "LockState"]) == toset(["arn:aws:s3:::example-state/prosa/test.tfstate.tflock"])
    error_message = "It writes the lock, and not the state."
  }
}

run "the_pipeline_cannot_make_itself_stronger" {
  command = apply

  assert {
    condition     = one([for one in data.aws_iam_policy_document.deploy.statement : one.resources if one.sid == "OwnRoles"]) == toset(["arn:aws:iam::123456789012:role/prosa-test-*"])
    error_message = "It makes roles of this environment only."
  }

  assert {
    condition     = anytrue([for one in data.aws_iam_policy_document.deploy.statement : one.sid == "NotItself" && one.effect == "Deny"])
    error_message = "It leaves its own role alone."
  }
}

run "packages_are_private_encrypted_and_kept_apart_from_later_ones" {
  command = apply

  assert {
    condition     = aws_s3_bucket_public_access_block.artifacts.block_public_acls && aws_s3_bucket_public_access_block.artifacts.restrict_public_buckets
    error_message = "Nobody outside reads packages."
  }

  assert {
    condition     = aws_s3_bucket_versioning.artifacts.versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.artifacts.force_destroy
    error_message = "A package is not lost by another one."
  }

  assert {
    condition     = toset([for one in data.aws_iam_policy_document.artifacts.statement : one.sid if one.effect == "Deny"]) == toset(["TlsOnly", "OnlyThePipelineWrites"])
    error_message = "The pipeline writes packages, by TLS, and nobody else."
  }
}

run "a_new_version_comes_gradually_and_goes_when_an_alarm_rings" {
  command = apply

  assert {
    condition = alltrue([
      for one in aws_codedeploy_deployment_group.function :
      one.alarm_configuration[0].enabled && contains(one.auto_rollback_configuration[0].events, "DEPLOYMENT_STOP_ON_ALARM") && !strcontains(one.deployment_config_name, "AllAtOnce")
    ])
    error_message = "A bad version reaches few, and not for long."
  }

  assert {
    condition     = aws_codedeploy_deployment_group.function["http"].alarm_configuration[0].alarms == toset(["prosa-test-api-errors", "prosa-test-http-errors"])
    error_message = "The common alarms count, and the function's own."
  }
}

run "a_provider_that_is_there_is_used" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "An account has one."
  }
}

run "a_pattern_of_repositories_is_refused" {
  command = plan

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}
