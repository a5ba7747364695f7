#!/bin/sh
# Checks every module and environment by Terraform itself, with the real provider and no account: make terraform.
set -eu
cd "$(dirname "$0")"
if ! command -v terraform > /dev/null; then
	echo "There is no terraform here (1.11 or newer): only checkov looks at infrastructure/terraform"
	exit 0
fi
terraform fmt -check -recursive
for folder in modules/* environments/*; do
	echo "$folder"
	terraform -chdir="$folder" init -backend=false -input=false > /dev/null
	terraform -chdir="$folder" validate
	if [ -d "$folder/tests" ]; then
		terraform -chdir="$folder" test
	fi
done
