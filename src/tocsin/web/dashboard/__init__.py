"""Pages for people who signed in. Each view only translates; the rules are in engine/manage."""
