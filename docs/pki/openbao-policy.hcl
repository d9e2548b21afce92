# What pyrunbook needs of a Vault or OpenBao, and nothing more: a test compares it with what the code asks for.
# Names to change: the mounts `pki` and `transit`, the role `agent-factory`, the key `agent-factory-templates`.
# What every token may do is in the built-in policy `default`: look itself up, renew and revoke itself, ask for its
# capabilities, open a wrapped answer. Reading the authority, its CRL and OCSP takes no token.

# Sign a request for a certificate. The private key stays with pyrunbook: `pki/issue` is not allowed.
path "pki/sign/agent-factory" {
  capabilities = ["update"]
}

# For the diagnosis: is the role there, and tight?
path "pki/roles/agent-factory" {
  capabilities = ["read"]
}

# Revoke what was replaced, after the overlap.
path "pki/revoke" {
  capabilities = ["update"]
}

# The key that signs templates: its versions, a new version, how long old ones stay good, sign, verify.
path "transit/keys/agent-factory-templates" {
  capabilities = ["read"]
}

path "transit/keys/agent-factory-templates/rotate" {
  capabilities = ["update"]
}

path "transit/keys/agent-factory-templates/config" {
  capabilities = ["update"]
}

path "transit/sign/agent-factory-templates" {
  capabilities = ["update"]
}

path "transit/verify/agent-factory-templates" {
  capabilities = ["update"]
}
