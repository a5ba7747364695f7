mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/test" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:failed" }
  }

  mock_resource "aws_lambda_alias" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:test:live" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:test" }
  }
}

variables {
  name           = "prosa-test"
  account_id     = "123456789012"
  region         = "eu-west-1"
  partition      = "aws"
  package_bucket = "artifacts"
  packages = {
    server = { key = "lambda/server.zip", sha256 = "abc=" }
    relay  = { key = "lambda/relay.zip", sha256 = "def=" }
  }
  collector_layer_arn = "arn:aws:lambda:eu-west-1:901920570463:layer:aws-otel-collector-arm64-ver-0-117-0:1"
  runtime             = "python3.13"
  metrics_namespace   = "prosa-test"
  subnet_ids          = ["subnet-1", "subnet-2"]
  security_group_id   = "sg-functions"
  log_retention_days  = 30
  kms_key_arn         = "arn:aws:kms:eu-west-1:123456789012:key/test"
  environment         = { PROSA_LOG_LEVEL = "INFO" }
  grants = {
    bus     = [{ actions = ["events:PutEvents"], resources = ["arn:aws:events:eu-west-1:123456789012:event-bus/prosa"] }]
    nothing = [{ actions = ["bedrock:InvokeModel"], resources = [] }]
  }
  functions = {
    http = {
      description             = "Answers."
      handler                 = "run.sh"
      package                 = "server"
      memory_mb               = 1024
      timeout_seconds         = 30
      reserved_concurrency    = 10
      provisioned_concurrency = 2
      grants                  = ["nothing"]
      environment             = { AWS_LWA_PORT = "8000" }
      layers                  = ["arn:aws:lambda:eu-west-1:753240598075:layer:LambdaAdapterLayerArm64:1"]
    }
    relay-outbox = {
      description          = "Relays."
      handler              = "prosa.entrypoints.aws_lambda.relay_outbox.handler"
      package              = "relay"
      memory_mb            = 512
      timeout_seconds      = 60
      reserved_concurrency = 2
      grants               = ["bus"]
      schedule             = "rate(1 minute)"
    }
    consume-messages = {
      description          = "Takes messages."
      handler              = "prosa.entrypoints.aws_lambda.consume_messages.handler"
      package              = "relay"
      memory_mb            = 512
      timeout_seconds      = 150
      reserved_concurrency = 5
      grants               = []
      queue                = { arn = "arn:aws:sqs:eu-west-1:123456789012:messages.fifo", batch_size = 5 }
    }
  }
}

run "every_function_has_a_role_of_its_own" {
  command = plan

  assert {
    condition     = length(distinct([for role in aws_iam_role.function : role.name])) == length(aws_lambda_function.this)
    error_message = "No two functions share a role."
  }
}

run "a_function_is_granted_what_it_names_and_no_more" {
  command = apply

  assert {
    condition     = contains(flatten([for one in data.aws_iam_policy_document.function["relay-outbox"].statement : one.actions]), "events:PutEvents")
    error_message = "relay-outbox names the bus."
  }

  assert {
    condition     = !contains(flatten([for one in data.aws_iam_policy_document.function["http"].statement : one.actions]), "events:PutEvents")
    error_message = "http does not name it."
  }

  assert {
    condition     = !contains(flatten([for one in data.aws_iam_policy_document.function["http"].statement : one.actions]), "bedrock:InvokeModel")
    error_message = "What is granted on nothing is not granted."
  }
}

run "only_lambda_itself_and_x_ray_are_allowed_on_everything" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.function : [
        for one in document.statement : contains(["Trace", "AttachToNetwork", "CodeLeavesNetworkAlone"], one.sid) if contains(one.resources, "*")
      ]
    ]))
    error_message = "No other statement may be about everything."
  }
}

run "functions_run_on_arm_in_the_network_traced_encrypted_and_bounded" {
  command = plan

  assert {
    condition = alltrue([
      for one in aws_lambda_function.this :
      one.architectures == tolist(["arm64"]) && one.tracing_config[0].mode == "Active" && one.kms_key_arn == var.kms_key_arn &&
      toset(one.vpc_config[0].subnet_ids) == toset(var.subnet_ids) && one.reserved_concurrent_executions > 0 && one.publish
    ])
    error_message = "Every function is arm64, traced, encrypted, in the network, bounded and versioned."
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.function : group.retention_in_days == 30 && group.kms_key_id == var.kms_key_arn])
    error_message = "Logs are encrypted, and not kept for ever."
  }
}

run "a_function_has_its_package_by_its_digest" {
  command = plan

  assert {
    condition     = aws_lambda_function.this["http"].source_code_hash == "abc=" && aws_lambda_function.this["relay-outbox"].s3_key == "lambda/relay.zip"
    error_message = "Each function has the package that it names."
  }
}

run "what_is_scheduled_has_its_failures_kept" {
  command = apply

  assert {
    condition     = keys(aws_scheduler_schedule.this) == ["relay-outbox"] && aws_scheduler_schedule.this["relay-outbox"].target[0].dead_letter_config[0].arn == aws_sqs_queue.failures["relay-outbox"].arn
    error_message = "A schedule that cannot start its function says so in the queue."
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.this["relay-outbox"].destination_config[0].on_failure[0].destination == aws_sqs_queue.failures["relay-outbox"].arn
    error_message = "A function that fails says so in the same queue."
  }

  assert {
    condition     = keys(aws_sqs_queue.failures) == ["relay-outbox"]
    error_message = "Functions that somebody waits for, or a queue feeds, tell of failures themselves."
  }
}

run "an_event_is_tried_again_and_a_schedule_is_not" {
  command = plan

  variables {
    functions = {
      consume-events = {
        description          = "Takes events."
        handler              = "prosa.entrypoints.aws_lambda.consume_events.handler"
        package              = "relay"
        memory_mb            = 512
        timeout_seconds      = 60
        reserved_concurrency = 5
        grants               = []
        takes_events         = true
      }
      relay-outbox = {
        description          = "Relays."
        handler              = "prosa.entrypoints.aws_lambda.relay_outbox.handler"
        package              = "relay"
        memory_mb            = 512
        timeout_seconds      = 60
        reserved_concurrency = 2
        grants               = []
        schedule             = "rate(1 minute)"
      }
    }
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.this["consume-events"].maximum_retry_attempts == 2 && aws_lambda_function_event_invoke_config.this["relay-outbox"].maximum_retry_attempts == 0
    error_message = "The next schedule is the retry; an event has no next one."
  }
}

run "a_queue_is_told_which_messages_failed" {
  command = apply

  assert {
    condition     = contains(aws_lambda_event_source_mapping.this["consume-messages"].function_response_types, "ReportBatchItemFailures")
    error_message = "Otherwise one failure brings the whole batch again."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this["consume-messages"].scaling_config[0].maximum_concurrency == 5
    error_message = "The mapping takes no more than the function may."
  }
}

run "provisioned_containers_are_an_option" {
  command = plan

  assert {
    condition     = keys(aws_lambda_provisioned_concurrency_config.this) == ["http"]
    error_message = "Only who asks for warm containers has them."
  }
}

run "telemetry_goes_by_a_collector" {
  command = apply

  assert {
    condition     = alltrue([for one in aws_lambda_function.this : contains(one.layers, var.collector_layer_arn) && one.environment[0].variables.OTEL_EXPORTER_OTLP_ENDPOINT == "http://localhost:4318"])
    error_message = "Each function has the collector, and sends to it."
  }

  assert {
    condition     = strcontains(aws_lambda_function.this["http"].environment[0].variables.COLLECTOR_CONFIG, "namespace: prosa-test")
    error_message = "Metrics come by the namespace that alarms look in."
  }
}

run "more_provisioned_than_reserved_is_refused" {
  command = plan

  variables {
    functions = {
      http = {
        description             = "Answers."
        handler                 = "run.sh"
        package                 = "server"
        memory_mb               = 1024
        timeout_seconds         = 30
        reserved_concurrency    = 1
        provisioned_concurrency = 2
        grants                  = []
      }
    }
  }

  expect_failures = [var.functions]
}
