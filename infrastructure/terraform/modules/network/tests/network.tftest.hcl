mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  name                = "prosa-test"
  account_id          = "123456789012"
  cidr_block          = "10.20.0.0/16"
  availability_zones  = ["eu-west-1a", "eu-west-1b"]
  nat_gateways        = "none"
  interface_endpoints = ["sqs", "bedrock-runtime"]
  log_retention_days  = 30
  kms_key_arn         = "arn:aws:kms:eu-west-1:123456789012:key/test"
}

run "without_nat_there_is_no_way_to_the_internet" {
  command = plan

  assert {
    condition = (
      length(aws_internet_gateway.this) == 0 && length(aws_nat_gateway.this) == 0 &&
      length(aws_subnet.public) == 0 && length(aws_route.out) == 0
    )
    error_message = "A network without NAT must have no gateway, no public subnet and no route out."
  }
}

run "every_zone_has_a_private_subnet_of_its_own_addresses" {
  command = plan

  assert {
    condition     = length(distinct([for subnet in aws_subnet.private : subnet.cidr_block])) == 2
    error_message = "Private subnets must not overlap."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.private : !subnet.map_public_ip_on_launch])
    error_message = "Nothing in a private subnet gets a public address."
  }
}

run "one_nat_gateway_carries_all_zones" {
  command = apply

  variables {
    nat_gateways = "one"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.out) == 2
    error_message = "One gateway must serve each zone's route."
  }
}

run "a_gateway_in_each_zone_serves_its_own_zone" {
  command = apply

  variables {
    nat_gateways = "each_zone"
  }

  assert {
    condition = alltrue([
      for zone, route in aws_route.out : route.nat_gateway_id == aws_nat_gateway.this[zone].id
    ])
    error_message = "A zone must not depend on the gateway of another zone."
  }
}

run "the_functions_are_reached_by_nobody_and_reach_tls_and_postgres_only" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_egress_rule.functions_https.from_port == 443 && aws_vpc_security_group_egress_rule.functions_https.to_port == 443
    error_message = "To the world, functions speak TLS only."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.functions_database.cidr_ipv4 == "10.20.0.0/16"
    error_message = "Postgres is reached within the network only."
  }
}

run "apis_of_aws_are_reached_by_private_names" {
  command = plan

  assert {
    condition     = aws_vpc_endpoint.interface["sqs"].service_name == "com.amazonaws.eu-west-1.sqs" && alltrue([for one in aws_vpc_endpoint.interface : one.private_dns_enabled])
    error_message = "Endpoints must answer to the services' usual names."
  }
}

run "traffic_is_logged_encrypted_and_for_a_time" {
  command = plan

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.retention_in_days == 30 && aws_cloudwatch_log_group.flow.kms_key_id != null
    error_message = "All traffic is logged, encrypted, and not for ever."
  }
}

run "a_network_that_is_too_small_is_refused" {
  command = plan

  variables {
    cidr_block = "10.20.0.0/24"
  }

  expect_failures = [var.cidr_block]
}

run "one_zone_is_refused" {
  command = plan

  variables {
    availability_zones = ["eu-west-1a"]
  }

  expect_failures = [var.availability_zones]
}
