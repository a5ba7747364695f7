terraform {
  required_version = ">= 1.11"

  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.7, < 3.0"
    }

    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.62, < 7.0"
    }
  }

  # The bucket is named by -backend-config: infrastructure/terraform/README.md.
  backend "s3" {
    key          = "prosa/prod.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
