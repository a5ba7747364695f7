mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/test" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:claims" }
  }

  mock_resource "aws_cognito_user_pool" {
    defaults = { id = "eu-west-1_abc", arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_abc" }
  }
}

mock_provider "archive" {}

variables {
  name               = "prosa-test"
  account_id         = "123456789012"
  region             = "eu-west-1"
  is_protected       = true
  callback_urls      = ["https://www.example.com/signed-in"]
  programs           = { acme-crm = "acme", acme-bot = "acme", zeta-crm = "zeta" }
  runtime            = "python3.13"
  log_retention_days = 30
  kms_key_arn        = "arn:aws:kms:eu-west-1:123456789012:key/test"
}

run "nobody_chooses_their_own_tenant" {
  command = plan

  assert {
    condition     = aws_cognito_user_pool.this.admin_create_user_config[0].allow_admin_create_user_only
    error_message = "Users are made for a tenant."
  }

  assert {
    condition     = !contains(aws_cognito_user_pool_client.pages.write_attributes, "custom:tenant_id")
    error_message = "A user must not write the attribute that says whose customer they are."
  }
}

run "access_tokens_are_given_tenant_and_role" {
  command = apply

  assert {
    condition     = aws_cognito_user_pool.this.lambda_config[0].pre_token_generation_config[0].lambda_version == "V3_0" && aws_cognito_user_pool.this.user_pool_tier == "ESSENTIALS"
    error_message = "Version 3 also writes claims of programs, in this tier or a larger one."
  }

  assert {
    condition     = aws_lambda_permission.claims.source_arn == aws_cognito_user_pool.this.arn
    error_message = "Only this pool may call the function."
  }
}

run "a_program_may_act_for_its_own_tenant_only" {
  command = apply

  assert {
    condition     = aws_cognito_user_pool_client.program["zeta-crm"].allowed_oauth_scopes == toset(["tenants/zeta"]) && aws_cognito_user_pool_client.program["zeta-crm"].allowed_oauth_flows == toset(["client_credentials"])
    error_message = "Its client is allowed one scope: its tenant."
  }

  assert {
    condition     = toset([for scope in aws_cognito_resource_server.tenants.scope : scope.scope_name]) == toset(["acme", "zeta"])
    error_message = "There is one scope for each tenant."
  }
}

run "a_page_has_no_secret_and_uses_the_code_flow" {
  command = plan

  assert {
    condition     = !aws_cognito_user_pool_client.pages.generate_secret && aws_cognito_user_pool_client.pages.allowed_oauth_flows == toset(["code"])
    error_message = "Tokens must not come in an address."
  }

  assert {
    condition     = aws_cognito_user_pool_client.pages.prevent_user_existence_errors == "ENABLED" && aws_cognito_user_pool_client.pages.access_token_validity <= 60
    error_message = "Nobody learns who is a user, and a token is good for an hour."
  }
}

run "the_groups_are_the_roles" {
  command = plan

  assert {
    condition     = toset(keys(aws_cognito_user_group.this)) == toset(["customer", "service"])
    error_message = "Prosa knows these two roles."
  }
}

run "prosa_believes_this_pool_and_these_clients" {
  command = apply

  assert {
    condition     = output.issuer == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc" && length(output.client_ids) == 4
    error_message = "Issuer and clients are what the settings need."
  }
}

run "a_pool_is_not_deleted_by_mistake" {
  command = plan

  assert {
    condition     = aws_cognito_user_pool.this.deletion_protection == "ACTIVE"
    error_message = "All customers would be lost."
  }
}

run "a_page_without_tls_is_refused" {
  command = plan

  variables {
    callback_urls = ["http://www.example.com"]
  }

  expect_failures = [var.callback_urls]
}
