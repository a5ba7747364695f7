mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_rds_cluster" {
    defaults = {
      arn                 = "arn:aws:rds:eu-west-1:123456789012:cluster:prosa-test"
      cluster_resource_id = "cluster-ABC"
      master_user_secret  = [{ kms_key_id = "key", secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:owner", secret_status = "active" }]
    }
  }

  mock_resource "aws_db_proxy" {
    defaults = {
      arn      = "arn:aws:rds:eu-west-1:123456789012:db-proxy:prx-0abc"
      endpoint = "prosa-test.proxy-abc.eu-west-1.rds.amazonaws.com"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/test" }
  }
}

variables {
  name                        = "prosa-test"
  account_id                  = "123456789012"
  region                      = "eu-west-1"
  partition                   = "aws"
  vpc_id                      = "vpc-1"
  subnet_ids                  = ["subnet-1", "subnet-2"]
  functions_security_group_id = "sg-functions"
  engine_version              = "17.6"
  capacity                    = { min = 0.5, max = 4 }
  instances                   = 2
  backup_retention_days       = 14
  is_protected                = true
  log_retention_days          = 30
  kms_key_arn                 = "arn:aws:kms:eu-west-1:123456789012:key/test"
}

run "a_hanging_statement_lock_or_transaction_ends" {
  command = plan

  assert {
    condition = tomap({
      for one in aws_rds_cluster_parameter_group.this.parameter : one.name => one.value
      if contains(["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"], one.name)
      }) == tomap({
      statement_timeout                   = "5000"
      lock_timeout                        = "1000"
      idle_in_transaction_session_timeout = "10000"
    })
    error_message = "The time limits must be 5 s, 1 s and 10 s."
  }

  assert {
    condition     = aws_db_proxy_default_target_group.this.connection_pool_config[0].connection_borrow_timeout <= 2
    error_message = "Who waits longer than 2 s for a connection must be told so."
  }
}

run "nobody_connects_without_tls_or_by_a_password" {
  command = plan

  assert {
    condition     = contains([for one in aws_rds_cluster_parameter_group.this.parameter : "${one.name}=${one.value}"], "rds.force_ssl=1")
    error_message = "The database must refuse connections without TLS."
  }

  assert {
    condition     = aws_db_proxy.this.require_tls && aws_db_proxy.this.default_auth_scheme == "IAM_AUTH" && length(aws_db_proxy.this.auth) == 0
    error_message = "The proxy takes IAM tokens over TLS, and knows no password."
  }

  assert {
    condition     = aws_rds_cluster.this.manage_master_user_password
    error_message = "The owner's password must not pass through Terraform."
  }
}

run "the_owners_password_is_changed_by_itself" {
  command = apply

  assert {
    condition     = aws_secretsmanager_secret_rotation.owner.secret_id == output.owner_secret_arn && one(aws_secretsmanager_secret_rotation.owner.rotation_rules).automatically_after_days <= 90
    error_message = "The owner's password must be rotated within 90 days."
  }
}

run "statements_values_are_kept_out_of_logs" {
  command = plan

  assert {
    condition = alltrue([
      for name in ["log_parameter_max_length", "log_parameter_max_length_on_error"] :
      contains([for one in aws_rds_cluster_parameter_group.this.parameter : "${one.name}=${one.value}"], "${name}=0")
    ])
    error_message = "What customers wrote must not be in the database's log."
  }
}

run "only_functions_reach_the_proxy_and_only_the_proxy_the_database" {
  command = apply

  assert {
    condition     = aws_vpc_security_group_ingress_rule.proxy.referenced_security_group_id == "sg-functions"
    error_message = "The functions connect to the proxy."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.cluster.referenced_security_group_id == aws_security_group.proxy.id
    error_message = "The proxy connects to the database."
  }

  assert {
    condition     = alltrue([for one in aws_rds_cluster_instance.this : !one.publicly_accessible])
    error_message = "No instance is public."
  }
}

run "addresses_have_no_password_and_insist_on_the_certificate" {
  command = apply

  assert {
    condition     = output.urls.app == "postgresql+asyncpg://prosa_app@prosa-test.proxy-abc.eu-west-1.rds.amazonaws.com:5432/prosa?ssl=verify-full"
    error_message = "The address names role, proxy and database."
  }

  assert {
    condition     = output.connect_arns.migrator == "arn:aws:rds-db:eu-west-1:123456789012:dbuser:prx-0abc/prosa_migrator"
    error_message = "Connecting is granted on the proxy, for one role."
  }
}

run "a_protected_database_is_not_lost" {
  command = plan

  assert {
    condition     = aws_rds_cluster.this.deletion_protection && !aws_rds_cluster.this.skip_final_snapshot && aws_rds_cluster.this.final_snapshot_identifier == "prosa-test-final"
    error_message = "It is not deleted by mistake, and leaves a snapshot."
  }

  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.kms_key_id == var.kms_key_arn && aws_rds_cluster.this.backup_retention_period == 14
    error_message = "Data and backups are encrypted by our key."
  }
}

run "one_that_is_not_protected_leaves_nothing_behind" {
  command = plan

  variables {
    is_protected = false
  }

  assert {
    condition     = !aws_rds_cluster.this.deletion_protection && aws_rds_cluster.this.skip_final_snapshot && aws_rds_cluster.this.delete_automated_backups
    error_message = "A trial can be torn down."
  }
}

run "capacity_that_would_sleep_is_refused" {
  command = plan

  variables {
    capacity = { min = 0, max = 4 }
  }

  expect_failures = [var.capacity]
}
