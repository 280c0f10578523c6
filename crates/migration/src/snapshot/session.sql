-- What the session is like: its role, its settings, and what of it is temporary.
SELECT pg_catalog.concat_ws(' ', current_user, session_user,
    (SELECT pg_catalog.string_agg(s.name || '=' || s.setting, ' ' ORDER BY s.name)
     FROM pg_catalog.pg_settings AS s WHERE s.source = 'session'),
    (SELECT pg_catalog.string_agg(p.name, ' ' ORDER BY p.name) FROM pg_catalog.pg_prepared_statements AS p),
    (SELECT pg_catalog.string_agg(c.name, ' ' ORDER BY c.name) FROM pg_catalog.pg_cursors AS c WHERE c.is_holdable),
    (SELECT pg_catalog.string_agg(l.channel, ' ' ORDER BY l.channel)
     FROM pg_catalog.pg_listening_channels() AS l (channel)),
    (SELECT pg_catalog.string_agg(r.oid::text, ' ' ORDER BY r.oid)
     FROM pg_catalog.pg_class AS r WHERE r.relpersistence = 't' AND r.relnamespace = pg_catalog.pg_my_temp_schema())
) AS session, pg_catalog.current_setting('client_encoding') AS encoding
