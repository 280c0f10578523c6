-- Which of these tables are larger than so many pages, with their partitions. Those that are not there are not.
SELECT t.name
FROM pg_catalog.unnest($1::pg_catalog.text[]) AS t (name)
WHERE (SELECT pg_catalog.sum(pg_catalog.pg_relation_size(r.relation))
       FROM (SELECT pg_catalog.to_regclass(t.name)
             UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(t.name)) AS p) AS r (relation))
    > $2::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8
