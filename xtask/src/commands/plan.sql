-- Size in bytes and estimated rows of the tables $1; those that are not there are left out.
SELECT t.name, pg_catalog.pg_total_relation_size(c.oid) AS bytes, greatest(c.reltuples, 0)::bigint AS rows
FROM pg_catalog.unnest($1::text[]) AS t (name)
JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(t.name)
