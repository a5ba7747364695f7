# One page: what customers see at the top, what it is made of below.

locals {
  rows = [
    [
      { title = "Requests and what became of them", metrics = [for metric in ["Count", "4XXError", "5XXError"] : ["AWS/ApiGateway", metric, "ApiName", var.api.name, "Stage", var.api.stage, { stat = "Sum" }]] },
      { title = "Time until an answer is whole (ms)", metrics = [for stat in ["p50", "p95", "p99"] : ["AWS/ApiGateway", "Latency", "ApiName", var.api.name, "Stage", var.api.stage, { stat = stat, label = stat }]] },
      { title = "Turns in the state machine", metrics = [for metric in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut"] : ["AWS/States", metric, "StateMachineArn", var.state_machine_arn, { stat = "Sum" }]] },
    ],
    [
      { title = "Turns by outcome", metrics = [["${var.metrics_namespace}", "prosa.turns", { stat = "Sum" }]] },
      { title = "Time of a turn, and to its first text (s)", metrics = [for metric in ["prosa.turn.duration", "prosa.turn.time_to_first_text"] : [var.metrics_namespace, metric, { stat = "Average" }]] },
      { title = "Models: asked in another's place, breakers that opened", metrics = [[var.metrics_namespace, "prosa.model.fallbacks", { stat = "Sum" }], [var.metrics_namespace, local.counted.breakers.name, { stat = "Sum" }]] },
    ],
    [
      { title = "Errors of functions", metrics = [for name in values(var.function_names) : ["AWS/Lambda", "Errors", "FunctionName", name, { stat = "Sum" }]] },
      { title = "Throttles of functions", metrics = [for name in values(var.function_names) : ["AWS/Lambda", "Throttles", "FunctionName", name, { stat = "Sum" }]] },
      { title = "Time of functions (ms, p95)", metrics = [for name in values(var.function_names) : ["AWS/Lambda", "Duration", "FunctionName", name, { stat = "p95" }]] },
    ],
    [
      { title = "Outbox: oldest (s), waiting, parked", metrics = [for metric in ["prosa.outbox.oldest", "prosa.outbox.waiting", "prosa.outbox.parked"] : [var.metrics_namespace, metric, { stat = "Maximum" }]] },
      { title = "Oldest message in queues (s)", metrics = [for name in [var.messages_queue_name, var.replies_queue_name] : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name, { stat = "Maximum" }]] },
      { title = "Dead letters", metrics = [for name in values(var.dead_letter_names) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name, { stat = "Maximum" }]] },
    ],
    [
      { title = "Capacity of the database (%)", metrics = [["AWS/RDS", "ACUUtilization", "DBClusterIdentifier", var.database_cluster, { stat = "Average" }]] },
      { title = "Connections through the proxy", metrics = [for metric in ["ClientConnections", "DatabaseConnections", "DatabaseConnectionsCurrentlySessionPinned"] : ["AWS/RDS", metric, "ProxyName", var.database_proxy, { stat = "Maximum" }]] },
      { title = "Refused by the firewall", metrics = [["AWS/WAFV2", "BlockedRequests", "WebACL", var.web_acl_name, "Region", var.region, "Rule", "ALL", { stat = "Sum" }]] },
    ],
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = flatten([
      for y, row in local.rows : [
        for x, widget in row : {
          type   = "metric"
          x      = 8 * x
          y      = 6 * y
          width  = 8
          height = 6
          properties = {
            title   = widget.title
            metrics = widget.metrics
            region  = var.region
            period  = 300
            view    = "timeSeries"
          }
        }
      ]
    ])
  })
}
