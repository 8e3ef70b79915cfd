#!/usr/bin/env bash
# Writes .env.ENVIRONMENT in the project's folder: how a program on this machine reaches an environment's Azure resources.
#
#   generate-env.sh staging|prod [--secrets]
#
# It holds no key: programs log in as whoever ran az login, who needs the roles of infrastructure/README.md, "Roles of a
# person". With --secrets the values in the vault are put in too. Copy it to .env.local, which the programs read.
set -euo pipefail

fail() {
    echo "$1" >&2
    exit 1
}

usage="Usage: generate-env.sh staging|prod [--secrets]"
environment="${1:-}"
secrets="${2:-}"
[[ $environment == staging || $environment == prod ]] || fail "$usage"
[[ -z $secrets || $secrets == --secrets ]] || fail "$usage"

for program in az terraform; do
    command -v "$program" >/dev/null || fail "$program is not installed."
done
az account show --output none 2>/dev/null || fail "Nobody is logged in to Azure: run az login first."

root="$(cd "$(dirname "$0")/../.." && pwd)"
target="$root/.env.$environment"
cd "$root/infrastructure/terraform/environments/$environment"

output() {
    terraform output -raw "$1" || fail "No output $1: run infrastructure/scripts/deploy.sh $environment apply first."
}

# Asked before anything is written, so that a failure leaves the old file as it was.
namespace="$(output service_bus_namespace)"
blobs="$(output storage_account_url)"
vault="$(output key_vault_name)"

secret() {
    [[ $secrets == --secrets ]] || return 0
    # In quotes, or a # in a password would begin a comment.
    local value
    value="$(az keyvault secret show --vault-name "$vault" --name "$1" --query value --output tsv)" ||
        fail "No secret $1 in vault $vault, or no role to read it."
    value="${value//\\/\\\\}"
    printf "'%s'" "${value//\'/\\\'}"
}
database_url="$(secret database-url)"
nivoda_password="$(secret nivoda-password)"
hmac_secrets="$(secret hmac-secrets)"

# Made unreadable to others before the first line is in it, and moved into place as a whole.
umask 077
temporary="$(mktemp "$target.XXXXXX")"
trap 'rm -f "$temporary"' EXIT
cat >"$temporary" <<END
# $environment, written by generate-env.sh.
AZURE_SERVICE_BUS_NAMESPACE=$namespace
AZURE_STORAGE_ACCOUNT_URL=$blobs

# Empty means: not set.
DATABASE_URL=$database_url
NIVODA_ENDPOINT=
NIVODA_USERNAME=
NIVODA_PASSWORD=$nivoda_password
HMAC_SECRETS=$hmac_secrets
END
chmod 600 "$temporary"
mv "$temporary" "$target"
echo "$target"
