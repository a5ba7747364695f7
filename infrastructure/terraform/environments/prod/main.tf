# Production.

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      application = "prosa"
      environment = "prosa-prod"
      managed-by  = "terraform"
      owner       = var.owner
    }
  }
}

module "prosa" {
  source = "../../modules/platform"

  name         = "prosa-prod"
  region       = var.region
  environment  = "production"
  is_protected = true

  network = {
    cidr_block          = "10.40.0.0/16"
    availability_zones  = [for letter in ["a", "b", "c"] : "${var.region}${letter}"]
    nat_gateways        = "each_zone"
    interface_endpoints = ["bedrock-runtime", "events", "logs", "secretsmanager", "sqs", "states", "xray"]
  }

  database = {
    engine_version        = "17.6"
    capacity              = { min = 1, max = 32 }
    instances             = 2
    backup_retention_days = 35
  }

  packages         = var.packages
  runtime          = "python3.13"
  layers           = var.layers
  concurrency      = { http = 200, http_provisioned = 5, messages = 50, tasks = 100 }
  are_schedules_on = var.are_schedules_on

  turn_runner        = "inline"
  models             = ["bedrock:amazon.nova-lite-v1:0"]
  bedrock_model_arns = ["arn:aws:bedrock:${var.region}::foundation-model/amazon.nova-lite-v1:0"]
  secrets            = {}

  cors_origins           = ["https://www.example.com"]
  callback_urls          = ["https://www.example.com/signed-in"]
  programs               = var.programs
  channel_role_arns      = var.channel_role_arns
  domain                 = var.domain
  throttling             = { rate = 300, burst = 600 }
  requests_of_an_address = 3000

  emails               = var.emails
  latency_milliseconds = 20000
  failed_turns         = 10
  log_retention_days   = 365
  archive_days         = 90
  budget               = { monthly_usd = 4000, anomaly_usd = 150, activates_tags = false }

  pipeline = {
    repository        = var.repository
    environment       = "prod"
    oidc_provider_arn = var.oidc_provider_arn
    state             = { bucket_arn = "arn:aws:s3:::${var.state_bucket}", key = "prosa/prod.tfstate" }
    other_writer_arns = var.other_writer_arns
    deployment_config = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
  }
}
