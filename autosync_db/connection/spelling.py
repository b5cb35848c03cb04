"""The settings by which the server reads and writes texts, at their defaults: a role or a database may have others.

Definitions are compared in the server's own writing, and a backslash in our statements must mean itself. They are set
in each transaction where that matters, because a session may be a pooler's. A statement in the same message as these
settings is split into words before they take effect: in such a statement a backslash may stand only in E''.
"""

SETTINGS = {
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "intervalstyle": "postgres",
    "datestyle": "ISO, MDY",
}
STATEMENTS = "\n".join(f"set local {name} = '{value}';" for name, value in SETTINGS.items())
CALLS = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in SETTINGS.items())
