INSERT INTO migration.runs (tool_version, git_commit, os_user, host)
VALUES ($1, $2, $3, $4)
RETURNING id, pg_catalog.set_config('application_name', 'xtask migrate run ' || id, false)
