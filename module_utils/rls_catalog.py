# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What PostgreSQL's catalogs say of tenancy: one query per question, for any number of tables.

Row security: https://www.postgresql.org/docs/current/ddl-rowsecurity.html. The catalogs: pg_class, pg_policy, pg_roles,
pg_auth_members, pg_rewrite, pg_proc. Every parameter is one of ``schemas``, ``column``, ``app_role``.
"""

from __future__ import annotations

TABLES = """
    SELECT format('%%I.%%I', n.nspname, c.relname) AS name, c.relkind::text AS kind, c.relispartition AS partition,
           c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced, pg_get_userbyid(c.relowner) AS owner,
           a.attname IS NOT NULL AS has_column, coalesce(a.attnotnull, false) AS not_null,
           ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p
                 WHERE has_table_privilege(%(app_role)s, c.oid, p)
                    OR (p <> 'DELETE' AND has_any_column_privilege(%(app_role)s, c.oid, p))) AS commands,
           ARRAY(SELECT p FROM unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p
                 WHERE has_table_privilege(%(app_role)s, c.oid, p)) AS hazards,
           ARRAY(SELECT x.privilege_type FROM aclexplode(c.relacl) AS x WHERE x.grantee = 0) AS public
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %(column)s AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'f')
    ORDER BY 1
"""
"""Tables, partitions and foreign tables of the declared schemas, with what the application may do to each."""

POLICIES = """
    SELECT format('%%I.%%I', n.nspname, c.relname) AS table, p.polname AS name, p.polpermissive AS permissive,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                         ELSE 'ALL' END AS command,
           pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check,
           EXISTS (SELECT FROM unnest(p.polroles) AS r
                   WHERE r = 0 OR pg_has_role(%(app_role)s, r, 'MEMBER')) AS applies
    FROM pg_policy p
    JOIN pg_class c ON c.oid = p.polrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s)
    ORDER BY 1, 2
"""
"""Every row security policy of the declared schemas; ``applies`` to the application's role."""

ROLES = """
    WITH RECURSIVE reachable(oid, via) AS (
        SELECT oid, rolname::text FROM pg_roles WHERE rolname = %(app_role)s
        UNION
        SELECT m.roleid, r.via || ' > ' || pg_get_userbyid(m.roleid)
        FROM pg_auth_members m JOIN reachable r ON m.member = r.oid
    )
    SELECT DISTINCT ON (a.rolname) a.rolname AS name, r.via, a.rolsuper AS super, a.rolbypassrls AS bypassrls,
           a.rolcreaterole AS createrole,
           ARRAY(SELECT DISTINCT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c
                 JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relowner = a.oid AND c.relkind IN ('r', 'p') AND n.nspname = ANY (%(schemas)s)
                 ORDER BY 1 LIMIT 5) AS owns,
           ARRAY(SELECT n.nspname::text FROM pg_namespace n
                 WHERE n.nspowner = a.oid AND n.nspname = ANY (%(schemas)s)) AS owns_schemas
    FROM reachable r JOIN pg_roles a ON a.oid = r.oid
    ORDER BY a.rolname, length(r.via)
"""
"""The application's role and every role it can become, by inheritance or by SET ROLE, with the way there."""

READERS = """
    SELECT format('%%I.%%I', n.nspname, c.relname) AS name, c.relkind::text AS kind,
           coalesce(c.reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1',
                                                 'security_invoker=yes'] AS invoker,
           pg_get_userbyid(c.relowner) AS owner,
           ARRAY(SELECT DISTINCT format('%%I.%%I', tn.nspname, t.relname)
                 FROM pg_rewrite w
                 JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                                 AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
                 JOIN pg_class t ON t.oid = d.refobjid
                 JOIN pg_namespace tn ON tn.oid = t.relnamespace
                 WHERE w.ev_class = c.oid AND tn.nspname = ANY (%(schemas)s) ORDER BY 1) AS reads
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND (has_table_privilege(%(app_role)s, c.oid, 'SELECT')
           OR has_any_column_privilege(%(app_role)s, c.oid, 'SELECT'))
    ORDER BY 1
"""
"""Views and materialized views that the application may read, anywhere, with the tables they read for it."""

DEFINERS = """
    SELECT format('%%I.%%I', n.nspname, f.proname) AS name, pg_get_userbyid(f.proowner) AS owner,
           o.rolsuper OR o.rolbypassrls AS bypasses,
           EXISTS (SELECT FROM unnest(f.proconfig) AS c WHERE c LIKE 'search_path=%%') AS pinned
    FROM pg_proc f
    JOIN pg_namespace n ON n.oid = f.pronamespace
    JOIN pg_roles o ON o.oid = f.proowner
    WHERE f.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND has_function_privilege(%(app_role)s, f.oid, 'EXECUTE')
      AND has_schema_privilege(%(app_role)s, n.oid, 'USAGE')
    ORDER BY 1
"""
"""SECURITY DEFINER functions that the application may call, anywhere."""

COLUMNS = """
    SELECT format('%%I.%%I', n.nspname, c.relname) AS table,
           array_agg(quote_ident(a.attname) ORDER BY a.attnum) AS columns
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attgenerated = ''
    GROUP BY 1
"""
"""The columns of each table that a row can be given values for."""

ESCAPES = """
    SELECT rolname AS name FROM pg_roles
    WHERE (rolsuper OR rolbypassrls
           OR oid IN (SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = ANY (%(schemas)s)))
      AND rolname <> %(app_role)s AND rolname !~ '^pg_'
    ORDER BY 1
"""
"""Roles to which row security does not apply, or that could switch it off."""
