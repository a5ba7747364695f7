# How a change gets here: the pipeline's roles, the bucket of packages, and the gradual move of aliases.

locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = var.oidc_provider_arn == null ? one(aws_iam_openid_connect_provider.github[*].arn) : var.oidc_provider_arn

  # Who may be which role: what the pipeline's token says of where it runs.
  roles = {
    # Pull requests, and main before anybody approves, look at what would change.
    plan = ["repo:${var.repository}:pull_request", "repo:${var.repository}:ref:refs/heads/main"]
    # Jobs of the environment, which has its approvals in GitHub.
    deploy = ["repo:${var.repository}:environment:${var.environment}"]
  }
}

# One for an account, so that it may be there already.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "trust" {
  for_each = local.roles

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [local.provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = each.value
    }
  }
}

resource "aws_iam_role" "pipeline" {
  for_each = local.roles

  name                 = "${var.name}-pipeline-${each.key}"
  description          = "The pipeline, to ${each.key}."
  max_session_duration = 3600
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
}

# --- To plan: to read, and to hold the lock of the state while it does.

resource "aws_iam_role_policy_attachment" "plan" {
  role       = aws_iam_role.pipeline["plan"].name
  policy_arn = "arn:${var.partition}:iam::aws:policy/ReadOnlyAccess"
}

data "aws_iam_policy_document" "plan" {
  statement {
    sid       = "LockState"
    actions   = ["s3:PutObject", "s3:DeleteObject"]
    resources = ["${var.state.bucket_arn}/${var.state.key}.tflock"]
  }

  # What reading everything would include: what customers said, and secrets.
  statement {
    sid    = "NothingOfCustomers"
    effect = "Deny"
    actions = [
      "logs:FilterLogEvents",
      "logs:GetLogEvents",
      "logs:StartQuery",
      "rds-data:*",
      "secretsmanager:GetSecretValue",
      "sqs:ReceiveMessage",
      "states:GetExecutionHistory",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "plan" {
  name   = "plan"
  role   = aws_iam_role.pipeline["plan"].id
  policy = data.aws_iam_policy_document.plan.json
}

# --- To deploy: everything that is not identity, and of identity what is ours by name.

resource "aws_iam_role_policy_attachment" "deploy" {
  role       = aws_iam_role.pipeline["deploy"].name
  policy_arn = "arn:${var.partition}:iam::aws:policy/PowerUserAccess"
}

data "aws_iam_policy_document" "deploy" {
  statement {
    sid = "OwnRoles"
    actions = [
      "iam:AttachRolePolicy",
      "iam:CreateRole",
      "iam:DeleteRole",
      "iam:DeleteRolePolicy",
      "iam:DetachRolePolicy",
      "iam:PassRole",
      "iam:PutRolePolicy",
      "iam:TagRole",
      "iam:UntagRole",
      "iam:UpdateAssumeRolePolicy",
      "iam:UpdateRole",
      "iam:UpdateRoleDescription",
    ]
    resources = ["arn:${var.partition}:iam::${var.account_id}:role/${var.name}-*"]
  }

  statement {
    sid       = "ReadIdentity"
    actions   = ["iam:GetOpenIDConnectProvider", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies"]
    resources = ["arn:${var.partition}:iam::${var.account_id}:role/${var.name}-*", local.provider_arn]
  }

  # Who could change this role, or whom it trusts, could be anybody.
  statement {
    sid    = "NotItself"
    effect = "Deny"
    actions = [
      "iam:AttachRolePolicy",
      "iam:DeleteRole",
      "iam:DeleteRolePolicy",
      "iam:DetachRolePolicy",
      "iam:PutRolePolicy",
      "iam:UpdateAssumeRolePolicy",
    ]
    resources = [for role in aws_iam_role.pipeline : role.arn]
  }
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.pipeline["deploy"].id
  policy = data.aws_iam_policy_document.deploy.json
}

# --- Packages, each under its digest.

resource "aws_s3_bucket" "artifacts" {
  #checkov:skip=CKV_AWS_18:Who reads and writes it is in CloudTrail; nobody but the pipeline and Lambda does.
  #checkov:skip=CKV_AWS_144:Packages are built again from a commit, the same bytes each time.
  #checkov:skip=CKV2_AWS_62:Nothing waits for packages: the pipeline that writes one deploys it.
  bucket        = "${var.name}-artifacts-${var.account_id}"
  force_destroy = !var.is_protected
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket                  = aws_s3_bucket.artifacts.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    id     = "forget-old-packages"
    status = "Enabled"

    filter {}

    expiration {
      days = var.package_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "artifacts" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.artifacts.arn, "${aws_s3_bucket.artifacts.arn}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # A package that Terraform names must be the one that was tested.
  statement {
    sid       = "OnlyThePipelineWrites"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.artifacts.arn}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnNotEquals"
      variable = "aws:PrincipalArn"
      values   = concat([aws_iam_role.pipeline["deploy"].arn], var.other_writer_arns)
    }
  }
}

resource "aws_s3_bucket_policy" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  policy = data.aws_iam_policy_document.artifacts.json

  depends_on = [aws_s3_bucket_public_access_block.artifacts]
}

# --- An alias moves to a new version by and by, and back as soon as an alarm rings.

data "aws_iam_policy_document" "move_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["codedeploy.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "move" {
  #checkov:skip=CKV_AWS_356:One statement has "*" as its resource; beside it is why.
  statement {
    sid       = "MoveAliases"
    actions   = ["lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"]
    resources = flatten([for name in values(var.function_names) : [for end in ["", ":*"] : "arn:${var.partition}:lambda:${var.region}:${var.account_id}:function:${name}${end}"]])
  }

  # Describing alarms knows no resources:
  # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
  statement {
    sid       = "LookAtAlarms"
    actions   = ["cloudwatch:DescribeAlarms"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "move" {
  name               = "${var.name}-move-aliases"
  description        = "CodeDeploy moves aliases by it."
  assume_role_policy = data.aws_iam_policy_document.move_trust.json
}

resource "aws_iam_role_policy" "move" {
  name   = "move"
  role   = aws_iam_role.move.id
  policy = data.aws_iam_policy_document.move.json
}

resource "aws_codedeploy_app" "functions" {
  name             = var.name
  compute_platform = "Lambda"
}

resource "aws_codedeploy_deployment_group" "function" {
  for_each = var.function_names

  app_name               = aws_codedeploy_app.functions.name
  deployment_group_name  = each.key
  service_role_arn       = aws_iam_role.move.arn
  deployment_config_name = var.deployment_config

  deployment_style {
    deployment_type   = "BLUE_GREEN"
    deployment_option = "WITH_TRAFFIC_CONTROL"
  }

  alarm_configuration {
    enabled = true
    alarms  = concat(var.watched_alarms, [var.error_alarms[each.key]])
  }

  auto_rollback_configuration {
    enabled = true
    events  = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
  }
}
