-- What ran once in the runs $1.
SELECT s.file, s.line, s.summary, o.hash, o.occurrence
FROM migration.once AS o JOIN migration.steps AS s ON s.run_id = o.run_id AND s.number = o.step
WHERE o.run_id = ANY ($1)
ORDER BY s.run_id, s.number
