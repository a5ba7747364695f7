output "state_machine_arn" {
  description = "The machine: PROSA_TURN_RUNNER is step_functions:ARN."
  value       = aws_sfn_state_machine.take_turn.arn
}
