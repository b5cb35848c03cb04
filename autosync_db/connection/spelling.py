"""How the server reads and writes texts, whatever role and database set for every session: as it does by default.

Definitions are compared by how the server writes them, and a backslash of ours is one. It is set in each transaction
where that matters: a session may be a pooler's. A statement that comes in the same message as its settings has been
split into words before they hold: there a backslash stands in E'' alone.
"""

SETTINGS = {
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "intervalstyle": "postgres",
    "datestyle": "ISO, MDY",
}
STATEMENTS = "\n".join(f"set local {name} = '{value}';" for name, value in SETTINGS.items())
CALLS = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in SETTINGS.items())
