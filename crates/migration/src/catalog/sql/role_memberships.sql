SELECT NULL::pg_catalog.oid, NULL::pg_catalog.oid, 0, 'role membership',
       CASE WHEN m.member IN (SELECT g.oid FROM migrator g) THEN 'the owner'
            ELSE pg_catalog.quote_ident(member.rolname) END
           || ' in ' || pg_catalog.quote_ident(granted.rolname),
       pg_catalog.concat_ws(' ', 'member',
           CASE WHEN pg_catalog.bool_or(m.admin_option) THEN 'with admin option' END,
           -- From PostgreSQL 16 on; before, the member's own attribute decides.
           CASE WHEN pg_catalog.bool_or(o.inherit) IS DISTINCT FROM member.rolinherit
               AND pg_catalog.bool_or(o.inherit) IS NOT NULL
               THEN 'inherit ' || pg_catalog.bool_or(o.inherit) END,
           CASE WHEN NOT pg_catalog.bool_or(o.set) THEN 'set false' END),
       NULL::pg_catalog.oid, NULL::"char", NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_auth_members m
JOIN pg_catalog.pg_roles member ON member.oid = m.member
JOIN pg_catalog.pg_roles granted ON granted.oid = m.roleid
CROSS JOIN LATERAL (
    SELECT (pg_catalog.to_jsonb(m) ->> 'inherit_option')::boolean AS inherit,
           (pg_catalog.to_jsonb(m) ->> 'set_option')::boolean AS set) o
-- PostgreSQL 16 makes the creator of a role its administrator by itself.
WHERE NOT (m.grantor = 10 AND m.admin_option AND NOT coalesce(o.inherit OR o.set, true))
  AND member.rolname !~ '^pg_'
GROUP BY m.member, m.roleid, member.rolname, granted.rolname, member.rolinherit
