#!/usr/bin/env bash
# Plans, applies or destroys one environment.
#
#   deploy.sh staging|prod plan|apply|destroy [more arguments of terraform, such as -auto-approve]
#
# ARM_SUBSCRIPTION_ID  the subscription (default: the one az uses)
# TFSTATE_ACCOUNT      the state's storage account (default: that of backend.tf)
# DEPLOYMENT_NAME      with which every name begins (default: diamond)
# TF_VAR_...           variables that are not in terraform.tfvars: nivoda_username
# TF_VAR_images        images by digest for a first apply; without it the newest with a tag of each repository are taken
set -euo pipefail

fail() {
    echo "$1" >&2
    exit 1
}

usage="Usage: deploy.sh staging|prod plan|apply|destroy [arguments of terraform]"
environment="${1:-}"
action="${2:-}"
[[ $environment == staging || $environment == prod ]] || fail "$usage"
[[ $action == plan || $action == apply || $action == destroy ]] || fail "$usage"
shift 2

for program in az terraform; do
    command -v "$program" >/dev/null || fail "$program is not installed."
done
az account show --output none 2>/dev/null || fail "Nobody is logged in to Azure: run az login first."

# An id of the environment goes over the one that az remembers, which may be that of another project.
ARM_SUBSCRIPTION_ID="${ARM_SUBSCRIPTION_ID:-$(az account show --query id --output tsv)}"
export ARM_SUBSCRIPTION_ID
echo "Environment $environment in subscription $(az account show --subscription "$ARM_SUBSCRIPTION_ID" --query name --output tsv)"

cd "$(dirname "$0")/../terraform/environments/$environment"

backend=()
if [[ -n ${TFSTATE_ACCOUNT:-} ]]; then
    backend+=("-backend-config=storage_account_name=$TFSTATE_ACCOUNT")
fi
terraform init -input=false -reconfigure "${backend[@]}"

# A name that was forgotten would have everything destroyed and made anew under another one.
name="${DEPLOYMENT_NAME:-diamond}"
export TF_VAR_name="$name"
made="$(terraform output -raw resource_group_name 2>/dev/null)" || made=""
[[ -z $made || $made == "$name-$environment-rg" ]] ||
    fail "This state belongs to $made, not to $name-$environment-rg: set DEPLOYMENT_NAME."

# The newest image of each repository, by digest. Only a container that is made anew takes it: the others' images are
# ignored by Terraform, so that an apply never undoes a deploy.
newest_images() {
    local registry server app digest images=()
    if ! registry="$(terraform output -raw container_registry_name)" ||
        ! server="$(terraform output -raw container_registry_login_server)"; then
        echo "There is no registry yet: apply with enable_container_apps = false first." >&2
        return 1
    fi
    for app in api consolidator dashboard scheduler worker; do
        # Whoever pushes an image gives it a tag. What is pushed behind it is none: an attestation has no tag, or one that
        # begins with sha256-, and the parts of an index have none.
        digest="$(az acr manifest list-metadata --registry "$registry" --name "diamond-$app" \
            --orderby time_desc --query "[?tags].[digest, join(' ', tags)]" --output tsv |
            awk '!found { for (i = 2; i <= NF; i++) if ($i !~ /^sha256-/) found = $1 }
                 END { print found }')" || digest=""
        [[ $digest == sha256:* ]] || {
            echo "No image diamond-$app in registry $registry: push it, or set TF_VAR_images." >&2
            return 1
        }
        images+=("\"$app\":\"$server/diamond-$app@$digest\"")
    done
    local IFS=,
    echo "{${images[*]}}"
}
if [[ $action != destroy && -z ${TF_VAR_images:-} ]] && grep -Eq '^enable_container_apps *= *true' terraform.tfvars; then
    TF_VAR_images="$(newest_images)"
    export TF_VAR_images
fi

# Two who apply at once wait for each other instead of failing.
case "$action" in
    plan) terraform plan -input=false -lock-timeout=5m "$@" ;;
    apply) terraform apply -lock-timeout=5m "$@" ;;
    destroy)
        # Terraform's own question is answered with "yes" in every environment.
        read -r -p "This destroys everything in $environment. Type its name to go on: " answer || answer=""
        [[ $answer == "$environment" ]] || fail "Nothing was destroyed."
        # What is destroyed stands in the state; switched off, the second phase asks for no image and no user name.
        terraform destroy -lock-timeout=5m -auto-approve -var enable_container_apps=false "$@"
        ;;
esac
