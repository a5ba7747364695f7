# The key that encrypts everything of an environment, and the secrets of others that Prosa uses.

locals {
  root = "arn:${var.partition}:iam::${var.account_id}:root"

  # Who encrypts and decrypts for us: logs; queues and topics that these services write to.
  writers = ["cloudwatch.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com", "budgets.amazonaws.com", "costalerts.amazonaws.com"]
}

# The policy of a key is about this key: "*" in it is nothing else.
data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:As CKV_AWS_356.
  #checkov:skip=CKV_AWS_111:As CKV_AWS_356.
  #checkov:skip=CKV_AWS_356:In a key's own policy "*" is that key.
  # "*" is this key: IAM decides who in the account uses it.
  statement {
    sid       = "IamDecides"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }
  }

  # "*" is this key, for logs of this account.
  statement {
    sid       = "Logs"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${var.partition}:logs:${var.region}:${var.account_id}:*"]
    }
  }

  # "*" is this key, for services that act for this account.
  statement {
    sid       = "Writers"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = local.writers
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

resource "aws_kms_key" "this" {
  description             = "Encrypts everything of ${var.name}."
  enable_key_rotation     = true
  rotation_period_in_days = 365
  deletion_window_in_days = var.is_protected ? 30 : 7
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.id
}

# Terraform makes the place; a person or a rotation puts the value in. So no state holds it.
resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57:Rotated where there is a function that can ask for a new value; others are replaced by hand.
  for_each = var.secrets

  name                    = "${var.name}/${each.key}"
  description             = each.value.description
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.is_protected ? 30 : 0
}

resource "aws_secretsmanager_secret_rotation" "this" {
  #checkov:skip=CKV_AWS_304:The variable's own check allows 90 days at most; checkov does not see the number.
  for_each = { for name, secret in var.secrets : name => secret.rotation if secret.rotation != null }

  secret_id           = aws_secretsmanager_secret.this[each.key].id
  rotation_lambda_arn = each.value.function_arn

  rotation_rules {
    automatically_after_days = each.value.days
  }
}

# Whatever IAM says elsewhere, nobody outside the account reads them.
data "aws_iam_policy_document" "secret" {
  for_each = aws_secretsmanager_secret.this

  statement {
    sid       = "NobodyElse"
    effect    = "Deny"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [each.value.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "aws:PrincipalAccount"
      values   = [var.account_id]
    }
  }
}

resource "aws_secretsmanager_secret_policy" "this" {
  for_each = aws_secretsmanager_secret.this

  secret_arn          = each.value.arn
  policy              = data.aws_iam_policy_document.secret[each.key].json
  block_public_policy = true
}
