SELECT s.table_name,
       pg_catalog.to_char(s.last_sync_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       s.last_sync_status,
       s.records_synced,
       s.errors_count
  FROM public.sync_metadata AS s
 ORDER BY s.table_name
 LIMIT $1
