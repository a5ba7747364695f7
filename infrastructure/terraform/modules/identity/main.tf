# Who may ask: a pool of users, and a client for pages and one for each program of a tenant's.

locals {
  # What a token's role claim may be: docs of PROSA_JWT_ROLE_CLAIM.
  groups = {
    customer = "Customers of a tenant, who reach their own conversations."
    service  = "People who act for any customer of their tenant."
  }

  tenants = toset(values(var.programs))
}

resource "aws_cognito_user_pool" "this" {
  name                = var.name
  deletion_protection = var.is_protected ? "ACTIVE" : "INACTIVE"
  # The tier in which a function may write claims into access tokens.
  user_pool_tier = "ESSENTIALS"

  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]
  mfa_configuration        = "OPTIONAL"

  software_token_mfa_configuration {
    enabled = true
  }

  username_configuration {
    case_sensitive = false
  }

  # A tenant's own software makes its users: nobody signs up for a tenant by themselves.
  admin_create_user_config {
    allow_admin_create_user_only = true
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }

  password_policy {
    minimum_length                   = 12
    require_lowercase                = true
    require_uppercase                = true
    require_numbers                  = true
    require_symbols                  = false
    password_history_size            = 5
    temporary_password_validity_days = 3
  }

  schema {
    name                = "tenant_id"
    attribute_data_type = "String"
    mutable             = true
    required            = false

    string_attribute_constraints {
      min_length = "1"
      max_length = "128"
    }
  }

  lambda_config {
    pre_token_generation_config {
      lambda_arn     = aws_lambda_function.claims.arn
      lambda_version = "V3_0"
    }
  }
}

resource "aws_cognito_user_group" "this" {
  for_each = local.groups

  user_pool_id = aws_cognito_user_pool.this.id
  name         = each.key
  description  = each.value
}

# Where people sign in, and programs get tokens.
resource "aws_cognito_user_pool_domain" "this" {
  user_pool_id = aws_cognito_user_pool.this.id
  domain       = "${var.name}-${var.account_id}"
}

# A scope for each tenant: a program's client may ask for its own only.
resource "aws_cognito_resource_server" "tenants" {
  user_pool_id = aws_cognito_user_pool.this.id
  identifier   = "tenants"
  name         = "Tenants"

  dynamic "scope" {
    for_each = local.tenants

    content {
      scope_name        = scope.value
      scope_description = "To act for the tenant ${scope.value}."
    }
  }
}

resource "aws_cognito_user_pool_client" "pages" {
  name         = "pages"
  user_pool_id = aws_cognito_user_pool.this.id

  # A page can keep no secret: the code flow with PKCE needs none.
  generate_secret                      = false
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["code"]
  allowed_oauth_scopes                 = ["openid", "email"]
  supported_identity_providers         = ["COGNITO"]
  callback_urls                        = var.callback_urls
  logout_urls                          = var.callback_urls
  explicit_auth_flows                  = ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
  prevent_user_existence_errors        = "ENABLED"
  enable_token_revocation              = true

  # Who could write their own tenant could read another's conversations.
  read_attributes  = ["email", "email_verified", "custom:tenant_id"]
  write_attributes = ["email"]

  access_token_validity  = 60
  id_token_validity      = 60
  refresh_token_validity = 30

  token_validity_units {
    access_token  = "minutes"
    id_token      = "minutes"
    refresh_token = "days"
  }
}

resource "aws_cognito_user_pool_client" "program" {
  for_each = var.programs

  name         = each.key
  user_pool_id = aws_cognito_user_pool.this.id

  generate_secret                      = true
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["client_credentials"]
  allowed_oauth_scopes                 = ["${aws_cognito_resource_server.tenants.identifier}/${each.value}"]
  enable_token_revocation              = true
  access_token_validity                = 60

  token_validity_units {
    access_token = "minutes"
  }

  # Scopes are checked when a client is made.
  depends_on = [aws_cognito_resource_server.tenants]
}

# --- What writes tenant and role into access tokens.

data "archive_file" "claims" {
  type        = "zip"
  source_file = "${path.module}/claims/claims.py"
  output_path = "${path.root}/.terraform/${var.name}-claims.zip"
}

data "aws_iam_policy_document" "claims_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "claims" {
  #checkov:skip=CKV_AWS_111:As CKV_AWS_356.
  #checkov:skip=CKV_AWS_356:X-Ray knows no resources; all else is by name.
  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.claims.arn}:*"]
  }

  # X-Ray knows no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
  statement {
    sid       = "Trace"
    actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "claims" {
  name               = "${var.name}-claims"
  description        = "Of the function that writes claims into tokens."
  assume_role_policy = data.aws_iam_policy_document.claims_trust.json
}

resource "aws_iam_role_policy" "claims" {
  name   = "function"
  role   = aws_iam_role.claims.id
  policy = data.aws_iam_policy_document.claims.json
}

resource "aws_cloudwatch_log_group" "claims" {
  name              = "/aws/lambda/${var.name}-claims"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_lambda_function" "claims" {
  #checkov:skip=CKV_AWS_116:Cognito waits for the answer, and tells whoever signs in that it failed.
  #checkov:skip=CKV_AWS_117:It reaches nothing, so it needs no network.
  #checkov:skip=CKV_AWS_272:Its code is in this folder, and comes by Terraform.
  function_name = "${var.name}-claims"
  description   = "Writes tenant and role into access tokens."
  role          = aws_iam_role.claims.arn

  runtime          = var.runtime
  architectures    = ["arm64"]
  handler          = "claims.handler"
  filename         = data.archive_file.claims.output_path
  source_code_hash = data.archive_file.claims.output_base64sha256

  memory_size                    = 128
  timeout                        = 5
  reserved_concurrent_executions = var.claims_concurrency

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.claims.name
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_iam_role_policy.claims]
}

resource "aws_lambda_permission" "claims" {
  statement_id  = "cognito"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.claims.function_name
  principal     = "cognito-idp.amazonaws.com"
  source_arn    = aws_cognito_user_pool.this.arn
}
