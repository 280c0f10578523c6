held AS (
    SELECT a.target, a.owner, a.acltype, x.now, x.grantee, x.privilege_type AS privilege,
           pg_catalog.bool_or(x.is_grantable) AS grantable,
           pg_catalog.string_agg(DISTINCT CASE WHEN x.grantor <> a.owner
               THEN pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantor)) END, ', ') AS grantors
    FROM access_list a
    CROSS JOIN LATERAL (
        SELECT true AS now, e.* FROM pg_catalog.aclexplode(CASE WHEN pg_catalog.cardinality(a.acl) > 0 THEN a.acl END) e
        UNION ALL
        SELECT false, e.* FROM pg_catalog.aclexplode(CASE WHEN pg_catalog.cardinality(a.initial) > 0 THEN a.initial END) e) x
    GROUP BY a.target, a.owner, a.acltype, x.now, x.grantee, x.privilege_type
),
-- GRANT ALL ON a table includes MAINTAIN from PostgreSQL 17 on. So that it is the same objects on
-- every server, MAINTAIN is taken for granted where all others are, and its lack is told instead.
table_grant AS (
    SELECT h.target, h.owner, h.acltype, h.now, h.grantee,
           pg_catalog.bool_or(h.privilege = 'MAINTAIN') AS maintain
    FROM held h
    WHERE h.acltype IN ('r', 'R')
    GROUP BY h.target, h.owner, h.acltype, h.now, h.grantee
    HAVING pg_catalog.count(*) FILTER (WHERE h.privilege <> 'MAINTAIN') = 7
),
comparable AS (
    SELECT h.*
    FROM held h
    LEFT JOIN table_grant g USING (target, owner, acltype, now, grantee)
    WHERE h.privilege <> 'MAINTAIN' OR g.maintain IS NULL
    UNION ALL
    SELECT g.target, g.owner, g.acltype, g.now, g.grantee, 'not MAINTAIN', false, NULL
    FROM table_grant g
    WHERE NOT g.maintain AND pg_catalog.current_setting('server_version_num')::int >= 170000
)
