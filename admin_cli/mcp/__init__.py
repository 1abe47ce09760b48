"""`jobledger mcp`: the operations as tools of the Model Context Protocol, for agents and scripts."""
