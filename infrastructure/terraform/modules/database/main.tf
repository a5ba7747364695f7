# Postgres: Aurora Serverless v2, and a proxy in front of it to which functions show an IAM token.

locals {
  port = 5432

  # What the application sends with each connection, once more for whoever forgets to: milliseconds.
  time_limits = {
    statement_timeout                   = "5000"
    lock_timeout                        = "1000"
    idle_in_transaction_session_timeout = "10000"
  }

  cluster_parameters = merge(local.time_limits, {
    "rds.force_ssl"              = "1"
    "log_statement"              = "ddl"
    "log_min_duration_statement" = "1000"
    # Statements hold what customers wrote: of slow ones and of failed ones only the text without values is kept.
    "log_parameter_max_length"          = "0"
    "log_parameter_max_length_on_error" = "0"
    "log_min_error_statement"           = "panic"
  })

  proxy_id = element(split(":", aws_db_proxy.this.arn), 6)
}

# --- Who may connect.

resource "aws_security_group" "proxy" {
  #checkov:skip=CKV2_AWS_5:The proxy below has it; the check does not know proxies.
  name        = "${var.name}-database-proxy"
  description = "The database's proxy."
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-database-proxy" }
}

resource "aws_vpc_security_group_ingress_rule" "proxy" {
  security_group_id            = aws_security_group.proxy.id
  description                  = "The functions."
  referenced_security_group_id = var.functions_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "proxy" {
  security_group_id            = aws_security_group.proxy.id
  description                  = "The database."
  referenced_security_group_id = aws_security_group.cluster.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_security_group" "cluster" {
  name        = "${var.name}-database"
  description = "The database: its proxy connects, and nobody else."
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-database" }
}

resource "aws_vpc_security_group_ingress_rule" "cluster" {
  security_group_id            = aws_security_group.cluster.id
  description                  = "The proxy."
  referenced_security_group_id = aws_security_group.proxy.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

# --- The cluster.

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_rds_cluster_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "aurora-postgresql${split(".", var.engine_version)[0]}"
  description = "Prosa: TLS, time limits, nothing of customers in logs."

  dynamic "parameter" {
    for_each = local.cluster_parameters

    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudwatch_log_group" "postgres" {
  name              = "/aws/rds/cluster/${var.name}/postgresql"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_rds_cluster" "this" {
  #checkov:skip=CKV_AWS_139:Staging and production are protected; development is there to be torn down.
  #checkov:skip=CKV2_AWS_8:Aurora keeps backups for any second of the retention period; a second plan would copy the same.
  #checkov:skip=CKV2_AWS_27:The parameter group logs changes of the schema and slow statements; the check does not read dynamic blocks.
  cluster_identifier = var.name
  engine             = "aurora-postgresql"
  engine_mode        = "provisioned"
  engine_version     = var.engine_version
  database_name      = "prosa"
  port               = local.port

  # The owner of everything logs in to set up the roles, and never again. RDS makes the password, keeps it in
  # Secrets Manager and changes it.
  master_username                     = "postgres"
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = var.kms_key_arn
  iam_database_authentication_enabled = true

  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.cluster.id]
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this.name

  # The Data API sets up the roles, from outside of the network, by IAM.
  enable_http_endpoint = true

  storage_encrypted = true
  kms_key_id        = var.kms_key_arn

  backup_retention_period   = var.backup_retention_days
  preferred_backup_window   = "04:00-05:00"
  copy_tags_to_snapshot     = true
  deletion_protection       = var.is_protected
  skip_final_snapshot       = !var.is_protected
  final_snapshot_identifier = var.is_protected ? "${var.name}-final" : null
  delete_automated_backups  = !var.is_protected

  preferred_maintenance_window    = "sun:05:30-sun:06:30"
  enabled_cloudwatch_logs_exports = ["postgresql"]
  allow_major_version_upgrade     = false

  serverlessv2_scaling_configuration {
    min_capacity = var.capacity.min
    max_capacity = var.capacity.max
  }

  depends_on = [aws_cloudwatch_log_group.postgres]
}

resource "aws_secretsmanager_secret_rotation" "owner" {
  secret_id          = aws_rds_cluster.this.master_user_secret[0].secret_arn
  rotate_immediately = false

  rotation_rules {
    automatically_after_days = 30
  }
}

resource "aws_rds_cluster_instance" "this" {
  count = var.instances

  identifier         = "${var.name}-${count.index + 1}"
  cluster_identifier = aws_rds_cluster.this.id
  engine             = aws_rds_cluster.this.engine
  engine_version     = aws_rds_cluster.this.engine_version
  instance_class     = "db.serverless"
  # The first two scale alike, so that the one that takes over is as large as the one that failed.
  promotion_tier = min(count.index, 1)

  publicly_accessible        = false
  auto_minor_version_upgrade = true
  copy_tags_to_snapshot      = true

  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.kms_key_arn
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn
}

data "aws_iam_policy_document" "monitoring_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "monitoring" {
  name               = "${var.name}-database-monitoring"
  assume_role_policy = data.aws_iam_policy_document.monitoring_trust.json
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${var.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

# --- The proxy: many containers share few connections, and a failover is not theirs to notice.

data "aws_iam_policy_document" "proxy_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["rds.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

data "aws_iam_policy_document" "proxy" {
  statement {
    actions = ["rds-db:connect"]
    resources = [
      for user in values(var.users) :
      "arn:${var.partition}:rds-db:${var.region}:${var.account_id}:dbuser:${aws_rds_cluster.this.cluster_resource_id}/${user}"
    ]
  }
}

resource "aws_iam_role" "proxy" {
  name               = "${var.name}-database-proxy"
  assume_role_policy = data.aws_iam_policy_document.proxy_trust.json
}

resource "aws_iam_role_policy" "proxy" {
  name   = "connect"
  role   = aws_iam_role.proxy.id
  policy = data.aws_iam_policy_document.proxy.json
}

resource "aws_cloudwatch_log_group" "proxy" {
  name              = "/aws/rds/proxy/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_db_proxy" "this" {
  name          = var.name
  engine_family = "POSTGRESQL"
  role_arn      = aws_iam_role.proxy.arn
  require_tls   = true
  # By IAM on both sides: there is no password, neither of the functions' nor of the proxy's.
  default_auth_scheme = "IAM_AUTH"
  # Longer than a container that is idle keeps its connection.
  idle_client_timeout    = 1800
  debug_logging          = false
  vpc_subnet_ids         = var.subnet_ids
  vpc_security_group_ids = [aws_security_group.proxy.id]

  depends_on = [aws_cloudwatch_log_group.proxy, aws_iam_role_policy.proxy]
}

resource "aws_db_proxy_default_target_group" "this" {
  db_proxy_name = aws_db_proxy.this.name

  connection_pool_config {
    max_connections_percent      = 80
    max_idle_connections_percent = 40
    # As long as the application waits for a connection: it answers 503 then.
    connection_borrow_timeout = 2
  }
}

resource "aws_db_proxy_target" "this" {
  db_proxy_name         = aws_db_proxy.this.name
  target_group_name     = aws_db_proxy_default_target_group.this.name
  db_cluster_identifier = aws_rds_cluster.this.id

  depends_on = [aws_rds_cluster_instance.this]
}
