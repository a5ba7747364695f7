# Development: small, cheap, and gone without a trace when it is torn down.

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      application = "prosa"
      environment = "prosa-dev"
      managed-by  = "terraform"
      owner       = var.owner
    }
  }
}

module "prosa" {
  source = "../../modules/platform"

  name         = "prosa-dev"
  region       = var.region
  environment  = "development"
  is_protected = false

  network = {
    cidr_block          = "10.20.0.0/16"
    availability_zones  = [for letter in ["a", "b"] : "${var.region}${letter}"]
    nat_gateways        = "one"
    interface_endpoints = []
  }

  database = {
    engine_version        = "17.6"
    capacity              = { min = 0.5, max = 2 }
    instances             = 1
    backup_retention_days = 1
  }

  packages         = var.packages
  runtime          = "python3.13"
  layers           = var.layers
  concurrency      = { http = 10, http_provisioned = 0, messages = 2, tasks = 5 }
  are_schedules_on = var.are_schedules_on

  turn_runner        = "inline"
  models             = ["bedrock:amazon.nova-lite-v1:0"]
  bedrock_model_arns = ["arn:aws:bedrock:${var.region}::foundation-model/amazon.nova-lite-v1:0"]
  secrets            = {}

  cors_origins           = ["http://localhost:3000"]
  callback_urls          = ["http://localhost:3000/signed-in"]
  programs               = var.programs
  channel_role_arns      = var.channel_role_arns
  domain                 = var.domain
  throttling             = { rate = 20, burst = 40 }
  requests_of_an_address = 1000

  emails               = var.emails
  latency_milliseconds = 25000
  failed_turns         = 20
  log_retention_days   = 14
  archive_days         = 7
  budget               = { monthly_usd = 200, anomaly_usd = 20, activates_tags = false }

  pipeline = {
    repository        = var.repository
    environment       = "dev"
    oidc_provider_arn = var.oidc_provider_arn
    state             = { bucket_arn = "arn:aws:s3:::${var.state_bucket}", key = "prosa/dev.tfstate" }
    other_writer_arns = var.other_writer_arns
    deployment_config = "CodeDeployDefault.LambdaAllAtOnce"
  }
}
