"""The rules, a module each: `RULE` is found by the module's name. Each has its page `docs/lint/<id>.md`."""
