output "prosa" {
  description = "Addresses and names: modules/platform says what each is."
  value       = module.prosa
}
