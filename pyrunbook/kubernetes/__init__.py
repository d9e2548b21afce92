"""What the steps do on Kubernetes, as plain Python over lightkube.

`client` talks to the API, `target` says which service is meant, `state` reads it; each other module is one
operation.
"""
