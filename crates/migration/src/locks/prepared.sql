-- The prepared transactions that pg_locks shows as $1, in virtualtransaction and without a process: each still holds the
-- lock on its own number.
SELECT own.virtualtransaction AS transaction, p.gid, p.owner::text AS user_name, p.database::text AS database,
       extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::double precision AS seconds
FROM pg_catalog.pg_prepared_xacts AS p
JOIN pg_catalog.pg_locks AS own
  ON own.pid IS NULL AND own.locktype = 'transactionid' AND own.mode = 'ExclusiveLock'
 AND own.transactionid = p.transaction
WHERE own.virtualtransaction = ANY ($1)
