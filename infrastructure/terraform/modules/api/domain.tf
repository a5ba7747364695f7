# A name of our own, with a certificate that AWS renews.

locals {
  domains = var.domain == null ? {} : { (var.domain.name) = var.domain.zone_id }
}

resource "aws_acm_certificate" "this" {
  for_each = local.domains

  domain_name       = each.key
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  for_each = local.domains

  zone_id         = each.value
  name            = one(aws_acm_certificate.this[each.key].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.this[each.key].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.this[each.key].domain_validation_options).resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  for_each = local.domains

  certificate_arn         = aws_acm_certificate.this[each.key].arn
  validation_record_fqdns = [aws_route53_record.validation[each.key].fqdn]
}

resource "aws_api_gateway_domain_name" "this" {
  for_each = local.domains

  domain_name              = each.key
  regional_certificate_arn = aws_acm_certificate_validation.this[each.key].certificate_arn
  security_policy          = "TLS_1_2"

  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

resource "aws_api_gateway_base_path_mapping" "this" {
  for_each = local.domains

  domain_name = aws_api_gateway_domain_name.this[each.key].domain_name
  api_id      = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.live.stage_name
}

resource "aws_route53_record" "this" {
  for_each = local.domains

  zone_id = each.value
  name    = each.key
  type    = "A"

  alias {
    name                   = aws_api_gateway_domain_name.this[each.key].regional_domain_name
    zone_id                = aws_api_gateway_domain_name.this[each.key].regional_zone_id
    evaluate_target_health = false
  }
}
