"""The pages that people see: views, templates and static files."""
