# The functions: what each runs, how long it may take, and what it is granted.

locals {
  runs_elsewhere = var.turn_runner == "step_functions"

  # The tasks of the state machine, each a function of prosa.entrypoints.step_functions.take_turn.
  tasks = ["classify", "generate", "record", "publish", "fail"]

  # How many messages a function takes at once. Where all are of one conversation, each waits for the one before.
  messages_at_once = 5
  messages_seconds = 150

  functions = {
    http = {
      description             = "The HTTP API: the server itself, behind the Web Adapter, so that answers stream."
      handler                 = "run.sh"
      package                 = "server"
      memory_mb               = 1024
      timeout_seconds         = 30
      reserved_concurrency    = var.concurrency.http
      provisioned_concurrency = var.concurrency.http_provisioned
      grants                  = concat(["database", "secrets", "events"], local.runs_elsewhere ? ["turns", "look_at_turns"] : ["models"])
      environment             = merge(local.turns, local.http)
      layers                  = [var.layers.web_adapter]
    }
    relay-outbox = {
      description          = "Relays events that answers had no time for."
      handler              = "prosa.entrypoints.aws_lambda.relay_outbox.handler"
      package              = "relay"
      memory_mb            = 1024
      timeout_seconds      = 60
      reserved_concurrency = 2
      grants               = ["database", "events"]
      schedule             = "rate(1 minute)"
    }
    recover-turns = {
      description          = "Sees to turns that ended functions have left behind."
      handler              = "prosa.entrypoints.aws_lambda.recover_turns.handler"
      package              = "turns"
      memory_mb            = 1024
      timeout_seconds      = 360
      reserved_concurrency = 2
      grants               = concat(["database", "secrets", "events"], local.runs_elsewhere ? ["turns"] : ["models"])
      environment          = local.turns
      schedule             = "rate(1 minute)"
    }
    consume-messages = {
      description          = "Takes what channels push to the queue, and sends replies to the other."
      handler              = "prosa.entrypoints.aws_lambda.consume_messages.handler"
      package              = "turns"
      memory_mb            = 1024
      timeout_seconds      = local.messages_seconds
      reserved_concurrency = var.concurrency.messages
      grants               = concat(["database", "secrets", "events", "messages", "replies"], local.runs_elsewhere ? ["turns"] : ["models"])
      environment          = merge(local.turns, local.channels)
      queue                = { arn = module.queues.messages.arn, batch_size = local.messages_at_once }
    }
    consume-events = {
      description          = "Takes customers' messages that channels put on the bus."
      handler              = "prosa.entrypoints.aws_lambda.consume_events.handler"
      package              = "turns"
      memory_mb            = 1024
      timeout_seconds      = 60
      reserved_concurrency = var.concurrency.messages
      grants               = concat(["database", "secrets", "events", "replies"], local.runs_elsewhere ? ["turns"] : ["models"])
      environment          = merge(local.turns, local.channels)
      takes_events         = true
    }
    classify = {
      description          = "A step of a turn: finds out what the customer wants."
      handler              = "prosa.entrypoints.step_functions.take_turn.classify"
      package              = "turns"
      memory_mb            = 1024
      timeout_seconds      = 30
      reserved_concurrency = var.concurrency.tasks
      grants               = ["database", "secrets", "events", "models"]
      environment          = local.turns
    }
    generate = {
      description          = "A step of a turn: has the model answer."
      handler              = "prosa.entrypoints.step_functions.take_turn.generate"
      package              = "turns"
      memory_mb            = 1024
      timeout_seconds      = 30
      reserved_concurrency = var.concurrency.tasks
      grants               = ["database", "secrets", "events", "models"]
      environment          = local.turns
    }
    record = {
      description          = "A step of a turn: stores the reply."
      handler              = "prosa.entrypoints.step_functions.take_turn.record"
      package              = "turns"
      memory_mb            = 1024
      timeout_seconds      = 15
      reserved_concurrency = var.concurrency.tasks
      grants               = ["database", "secrets"]
      environment          = local.turns
    }
    fail = {
      description          = "A step of a turn: ends it in failure."
      handler              = "prosa.entrypoints.step_functions.take_turn.fail"
      package              = "turns"
      memory_mb            = 1024
      timeout_seconds      = 15
      reserved_concurrency = var.concurrency.tasks
      grants               = ["database", "secrets"]
      environment          = local.turns
    }
    publish = {
      description          = "The last step of a turn: relays its events."
      handler              = "prosa.entrypoints.step_functions.take_turn.publish"
      package              = "relay"
      memory_mb            = 1024
      timeout_seconds      = 10
      reserved_concurrency = var.concurrency.tasks
      grants               = ["database", "events"]
    }
    migrate = {
      description          = "Brings the database to this version; the pipeline calls it."
      handler              = "prosa.entrypoints.aws_lambda.migrate.handler"
      package              = "server"
      memory_mb            = 1024
      timeout_seconds      = 900
      reserved_concurrency = 1
      grants               = ["database_owner"]
      environment = {
        PROSA_DATABASE_URL      = module.database.urls.migrator
        PROSA_DATABASE_PASSWORD = module.database.passwords.migrator
      }
    }
  }
}
