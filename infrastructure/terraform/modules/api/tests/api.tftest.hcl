mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/test" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:test" }
  }

  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/test/1" }
  }

  mock_resource "aws_api_gateway_stage" {
    defaults = { arn = "arn:aws:apigateway:eu-west-1::/restapis/1/stages/live", invoke_url = "https://1.execute-api.eu-west-1.amazonaws.com/live" }
  }

  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
      domain_validation_options = [
        { domain_name = "api.example.com", resource_record_name = "_1.api.example.com", resource_record_type = "CNAME", resource_record_value = "_2.acm.aws" },
      ]
    }
  }
}

variables {
  name                     = "prosa-test"
  region                   = "eu-west-1"
  partition                = "aws"
  function                 = { function_name = "prosa-test-http", alias_name = "live", alias_arn = "arn:aws:lambda:eu-west-1:123456789012:function:prosa-test-http:live" }
  function_timeout_seconds = 30
  throttling               = { rate = 50, burst = 100 }
  requests_of_an_address   = 2000
  log_retention_days       = 30
  kms_key_arn              = "arn:aws:kms:eu-west-1:123456789012:key/test"
}

run "answers_stream" {
  command = plan

  assert {
    condition     = alltrue([for one in aws_api_gateway_integration.any : one.response_transfer_mode == "STREAM" && endswith(one.uri, ":function:prosa-test-http:live/response-streaming-invocations")])
    error_message = "Streaming needs the mode and Lambda's API for it, by the alias."
  }

  assert {
    condition     = alltrue([for one in aws_api_gateway_integration.any : one.timeout_milliseconds == 30000])
    error_message = "The gateway waits as long as the function may take."
  }
}

run "only_this_api_calls_the_alias" {
  command = apply

  assert {
    condition     = aws_lambda_permission.api.qualifier == "live" && aws_lambda_permission.api.source_arn == "${aws_api_gateway_rest_api.this.execution_arn}/*/*"
    error_message = "Nobody else's API calls the function."
  }
}

run "requests_are_limited" {
  command = plan

  assert {
    condition     = aws_api_gateway_method_settings.all.method_path == "*/*" && aws_api_gateway_method_settings.all.settings[0].throttling_rate_limit == 50 && aws_api_gateway_method_settings.all.settings[0].throttling_burst_limit == 100
    error_message = "Every method has the limits."
  }

  assert {
    condition     = one([for rule in aws_wafv2_web_acl.this.rule : rule.statement[0].rate_based_statement[0].limit if rule.name == "rate-of-an-address"]) == 2000
    error_message = "One address has a limit of its own."
  }
}

run "a_refusal_is_a_problem_document" {
  command = plan

  assert {
    condition     = alltrue([for one in aws_api_gateway_gateway_response.this : one.response_parameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'"])
    error_message = "Clients read one kind of error."
  }

  assert {
    condition     = aws_api_gateway_gateway_response.this["THROTTLED"].response_parameters["gatewayresponse.header.Retry-After"] == "'1'" && jsondecode(aws_api_gateway_gateway_response.this["THROTTLED"].response_templates["application/json"]).code == "rate_limited"
    error_message = "Who is throttled is told when to come again."
  }
}

run "no_log_has_what_was_said_or_who_said_it" {
  command = plan

  assert {
    condition     = !aws_api_gateway_method_settings.all.settings[0].data_trace_enabled
    error_message = "Bodies are not logged."
  }

  assert {
    condition = alltrue([
      for word in ["sourceIp", "authorizer", "Authorization", "querystring"] :
      !strcontains(aws_api_gateway_stage.live.access_log_settings[0].format, word)
    ])
    error_message = "The access log has no address, token or query."
  }

  assert {
    condition     = length(aws_wafv2_web_acl_logging_configuration.this.redacted_fields) == 3 && alltrue([for rule in aws_wafv2_web_acl.this.rule : !rule.visibility_config[0].sampled_requests_enabled])
    error_message = "The firewall's log has no token, cookie or query, and there are no samples."
  }
}

run "customers_may_write_what_they_like" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for rule in aws_wafv2_web_acl.this.rule : [
        for override in rule.statement[0].managed_rule_group_statement[0].rule_action_override : length(override.action_to_use[0].count) == 1
      ] if rule.name == "AWSManagedRulesCommonRuleSet"
    ]))
    error_message = "Rules about a body count, and refuse nothing."
  }
}

run "the_default_name_is_open_without_a_domain" {
  command = apply

  assert {
    condition     = !aws_api_gateway_rest_api.this.disable_execute_api_endpoint && output.url == "https://1.execute-api.eu-west-1.amazonaws.com/live"
    error_message = "Without a domain there is no other way in."
  }
}

run "with_a_domain_there_is_one_name_by_tls" {
  command = apply

  variables {
    domain = { name = "api.example.com", zone_id = "Z1" }
  }

  assert {
    condition     = aws_api_gateway_rest_api.this.disable_execute_api_endpoint && output.url == "https://api.example.com"
    error_message = "The default name would go around the domain."
  }

  assert {
    condition     = aws_api_gateway_domain_name.this["api.example.com"].security_policy == "TLS_1_2"
    error_message = "Older TLS is refused."
  }
}

run "known_bad_requests_are_refused" {
  command = plan

  assert {
    condition = alltrue([
      for name in ["AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesAmazonIpReputationList"] :
      length([for rule in aws_wafv2_web_acl.this.rule : rule if rule.name == name && try(length(rule.override_action[0].none), 0) == 1]) == 1
    ])
    error_message = "AWS's own lists of bad requests and addresses are in force."
  }
}
