"""The pages: what operators see and do in a browser. Each handler asks one service, and a template shows the answer."""
