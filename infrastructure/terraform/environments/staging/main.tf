# Staging: as production in everything but size.

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      application = "prosa"
      environment = "prosa-staging"
      managed-by  = "terraform"
      owner       = var.owner
    }
  }
}

module "prosa" {
  source = "../../modules/platform"

  name         = "prosa-staging"
  region       = var.region
  environment  = "staging"
  is_protected = true

  network = {
    cidr_block          = "10.30.0.0/16"
    availability_zones  = [for letter in ["a", "b", "c"] : "${var.region}${letter}"]
    nat_gateways        = "one"
    interface_endpoints = ["bedrock-runtime", "events", "logs", "secretsmanager", "sqs", "states", "xray"]
  }

  database = {
    engine_version        = "17.6"
    capacity              = { min = 0.5, max = 8 }
    instances             = 2
    backup_retention_days = 7
  }

  packages         = var.packages
  runtime          = "python3.13"
  layers           = var.layers
  concurrency      = { http = 50, http_provisioned = 1, messages = 10, tasks = 20 }
  are_schedules_on = var.are_schedules_on

  turn_runner        = "inline"
  models             = ["bedrock:amazon.nova-lite-v1:0"]
  bedrock_model_arns = ["arn:aws:bedrock:${var.region}::foundation-model/amazon.nova-lite-v1:0"]
  secrets            = {}

  cors_origins           = ["https://staging.example.com"]
  callback_urls          = ["https://staging.example.com/signed-in"]
  programs               = var.programs
  channel_role_arns      = var.channel_role_arns
  domain                 = var.domain
  throttling             = { rate = 100, burst = 200 }
  requests_of_an_address = 3000

  emails               = var.emails
  latency_milliseconds = 20000
  failed_turns         = 10
  log_retention_days   = 90
  archive_days         = 30
  budget               = { monthly_usd = 800, anomaly_usd = 50, activates_tags = false }

  pipeline = {
    repository        = var.repository
    environment       = "staging"
    oidc_provider_arn = var.oidc_provider_arn
    state             = { bucket_arn = "arn:aws:s3:::${var.state_bucket}", key = "prosa/staging.tfstate" }
    other_writer_arns = var.other_writer_arns
    deployment_config = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
  }
}
