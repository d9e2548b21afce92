# What a rotation on trial needs besides openbao-policy.hcl: a role, and perhaps a key, that nothing else uses.
# Names to change: the mounts `pki` and `transit`, the role `agent-factory-trial`, the key `agent-factory-trial`.

path "pki/sign/agent-factory-trial" {
  capabilities = ["update"]
}

path "transit/keys/agent-factory-trial" {
  capabilities = ["read"]
}

path "transit/keys/agent-factory-trial/rotate" {
  capabilities = ["update"]
}

path "transit/sign/agent-factory-trial" {
  capabilities = ["update"]
}

path "transit/verify/agent-factory-trial" {
  capabilities = ["update"]
}
