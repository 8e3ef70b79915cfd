#!/usr/bin/env bash
# Makes, once for all environments, where Terraform keeps its state. May be run again: what is there stays.
#
#   bootstrap-tfstate.sh [REGION]
#
# TFSTATE_ACCOUNT    name of the storage account, unique in all of Azure (default: diamondtfstate)
# TFSTATE_PRINCIPAL  object id of whoever applies besides you, such as the pipeline's identity
set -euo pipefail

location="${1:-australiaeast}"
group="diamond-tfstate-rg"
container="tfstate"
account="${TFSTATE_ACCOUNT:-diamondtfstate}"

fail() {
    echo "$1" >&2
    exit 1
}

command -v az >/dev/null || fail "az is not installed."
az account show --output none 2>/dev/null || fail "Nobody is logged in to Azure: run az login first."
[[ $account =~ ^[a-z0-9]{3,24}$ ]] || fail "TFSTATE_ACCOUNT ($account): 3 to 24 lower-case letters and digits."
echo "Subscription: $(az account show --query name --output tsv)"

az group create --name "$group" --location "$location" --output none

# Without keys: the state holds the connection string of the scale rules, so who reads it must have a role. Versions and
# deleted blobs are kept for a month, because a lost state is mended by hand, resource by resource.
if ! az storage account show --name "$account" --resource-group "$group" --output none 2>/dev/null; then
    az storage account create --name "$account" --resource-group "$group" --location "$location" \
        --kind StorageV2 --sku Standard_GRS --min-tls-version TLS1_2 --https-only true \
        --allow-blob-public-access false --allow-shared-key-access false --output none
fi
az storage account blob-service-properties update --account-name "$account" --resource-group "$group" \
    --enable-versioning true --enable-delete-retention true --delete-retention-days 30 \
    --enable-container-delete-retention true --container-delete-retention-days 30 --output none

# Through the management API, which asks for no role on the blobs: that of whoever runs this takes effect in minutes only.
az storage container-rm create --name "$container" --storage-account "$account" --resource-group "$group" \
    --public-access off --output none

scope="$(az storage account show --name "$account" --resource-group "$group" --query id --output tsv)"
may_write() {
    az role assignment create --role "Storage Blob Data Contributor" --scope "$scope" \
        --assignee-object-id "$1" --assignee-principal-type "$2" --output none
}
# A pipeline has no signed-in user; it is given its role by TFSTATE_PRINCIPAL.
if user="$(az ad signed-in-user show --query id --output tsv 2>/dev/null)"; then
    may_write "$user" User
fi
if [[ -n ${TFSTATE_PRINCIPAL:-} ]]; then
    may_write "$TFSTATE_PRINCIPAL" ServicePrincipal
fi

echo "State: $account/$container. Next: infrastructure/scripts/deploy.sh staging plan"
