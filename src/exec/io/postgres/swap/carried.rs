//! What people have put on a table or view beside its rows, and what is put on the one that takes its place: who may do
//! what with it, comments, the options of a view, whose a table is. A view reads with the rights of its owner, which is
//! whoever makes it: of one that was somebody else's no rights are given on.
//!
//! What is new comes first: what cannot be put on it (a rule that reads a column that went) is left out, and the rest is
//! not. Only row security is never left out: where its policies do not go with the new columns, nobody but the owner sees
//! a row.

use postgres::{Client, Error};

use super::{qualifying, tried};

/// Gathered before the old one goes, put on the new one when it has the name.
#[derive(Default)]
pub struct Carried {
    row_security: String,
    /// Each is one statement, or several that must not be without each other.
    statements: Vec<String>,
}

/// From where to where. `old` and `new` are the same where one and the same view is made again.
pub struct Onto<'a> {
    pub old: u32,
    pub new: u32,
    /// As it is written in statements, once it has its name.
    pub name: &'a str,
    pub is_view: bool,
    /// Hooks make what can be made once only: policies, triggers and rules.
    pub hooks_follow: bool,
}

/// Whether there is anything on `$1`: on most there is nothing, and to ask for each costs a server several milliseconds.
const ANY: &str = "
select relacl is not null or reloptions is not null or relrowsecurity or pg_catalog.pg_get_userbyid(relowner) <> current_user
    or exists (select 1 from pg_catalog.pg_attribute where attrelid = c.oid and (attacl is not null or relkind = 'v' and atthasdef))
    or exists (select 1 from pg_catalog.pg_description where objoid = c.oid and classoid = 'pg_catalog.pg_class'::regclass)
    or exists (select 1 from pg_catalog.pg_seclabel where objoid = c.oid and classoid = 'pg_catalog.pg_class'::regclass)
    or exists (select 1 from pg_catalog.pg_policy where polrelid = c.oid)
    or relkind = 'v' and (relhastriggers
        or exists (select 1 from pg_catalog.pg_rewrite where ev_class = c.oid and rulename <> '_RETURN'))
from pg_catalog.pg_class c where c.oid = $1";

/// Of `$1`, for the columns of `$2`, for what is called `$3` and is a `$4`: what each statement is, in the order in which
/// they are run.
const STATEMENTS: &str = "
with old as (select *, relkind = 'v' and $4::text = 'view' as views from pg_catalog.pg_class where oid = $1),
columns as (
    select a.* from pg_catalog.pg_attribute a where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped and exists (
        select 1 from pg_catalog.pg_attribute n
        where n.attrelid = $2 and n.attname = a.attname and n.attnum > 0 and not n.attisdropped)),
options as (select o.*, views from old, pg_catalog.pg_options_to_table(old.reloptions) o where relkind = 'v'),
grants as (
    select a.*, '' as what from old, pg_catalog.aclexplode(old.relacl) a
    union all
    select a.*, format(' (%I)', c.attname) from columns c, pg_catalog.aclexplode(c.attacl) a),
places as (
    select 0 as place, format('%s %s', $4::text, $3::text) as what
    union all
    select attnum, format('column %s.%I', $3::text, attname) from columns),
found as (
    select 1 as turn, 'hides' as kind, '' as statement from old where relrowsecurity and $4::text = 'view'
    union all
    select 1, 'hides', '' from options where option_name = 'security_invoker' and not views
    union all
    select 1, 'hides', '' from old where $4::text = 'view' and pg_catalog.pg_get_userbyid(relowner) <> current_user
    union all
    select 2, 'right', format('security label for %I on %s is %L', l.provider, p.what, l.label)
        from pg_catalog.pg_seclabel l join places p on p.place = l.objsubid
        where l.classoid = 'pg_catalog.pg_class'::regclass and l.objoid = $1
    union all
    select 3, 'right', format('grant %s%s on %s to %s%s', g.privilege_type, g.what, $3::text,
            case when g.grantee = 0 then 'public' else quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) end,
            case when g.is_grantable then ' with grant option' else '' end)
        from old, grants g where g.grantee <> old.relowner
    union all
    select 4, 'option', format('alter view %s set (%I = %L)', $3::text, option_name, option_value) from options where views
    union all
    select 5, 'word', format('comment on %s is %L', p.what, d.description)
        from pg_catalog.pg_description d join places p on p.place = d.objsubid
        where d.classoid = 'pg_catalog.pg_class'::regclass and d.objoid = $1
    union all
    select 6, 'word', format('alter view %s alter column %I set default %s', $3::text, c.attname,
            pg_catalog.pg_get_expr(d.adbin, d.adrelid))
        from old, columns c join pg_catalog.pg_attrdef d on d.adrelid = c.attrelid and d.adnum = c.attnum where views
    union all
    select 7, 'once', pg_catalog.pg_get_ruledef(r.oid)
        from old join pg_catalog.pg_rewrite r on r.ev_class = old.oid where views and r.rulename <> '_RETURN'
    union all
    select 8, 'once', pg_catalog.pg_get_triggerdef(t.oid)
        from old join pg_catalog.pg_trigger t on t.tgrelid = old.oid where views and not t.tgisinternal
    union all
    select 8, 'undone', format('drop rule %I on %s', r.rulename, $3::text)
        from old join pg_catalog.pg_rewrite r on r.ev_class = old.oid where views and r.rulename <> '_RETURN'
    union all
    select 8, 'undone', format('drop trigger %I on %s', t.tgname, $3::text)
        from old join pg_catalog.pg_trigger t on t.tgrelid = old.oid where views and not t.tgisinternal
    union all
    select 9, 'row security', format('alter table %s enable row level security', $3::text)
        from old where relrowsecurity and $4::text = 'table'
    union all
    select 10, 'policy', format('create policy %I on %s as %s for %s to %s%s%s', p.polname, $3::text,
            case when p.polpermissive then 'permissive' else 'restrictive' end,
            case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
            (select string_agg(case when it = 0 then 'public' else quote_ident(pg_catalog.pg_get_userbyid(it)) end, ', ')
                from unnest(p.polroles) it),
            ' using (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
            ' with check (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')')
        from old join pg_catalog.pg_policy p on p.polrelid = old.oid where $4::text = 'table'
    union all
    select 12, 'owner', format('alter %s %s owner to %I', $4::text, $3::text, pg_catalog.pg_get_userbyid(relowner))
        from old where $4::text = 'table' and pg_catalog.pg_get_userbyid(relowner) <> current_user
            and pg_catalog.pg_has_role(relowner, 'usage'))
select kind, statement from found order by turn, statement";

impl Carried {
    /// # Errors
    /// What the server says.
    pub fn from(client: &mut Client, onto: &Onto<'_>) -> Result<Carried, Error> {
        let found = Found::of(client, onto)?;
        let hides = !found.each("hides").is_empty();
        let row_security = found.together("row security");
        let mut statements = Vec::new();
        // Of rights alone more would be seen than before: they go with what hides rows, or not at all.
        if !hides && (row_security.is_empty() || !onto.hooks_follow) {
            statements.push(found.together("right"));
        }
        statements.extend(found.each("option"));
        statements.extend(found.each("word"));
        let mut carried = Carried { row_security, statements };
        if !onto.hooks_follow {
            carried.statements.extend(found.each("once"));
            carried.statements.push(found.together("policy"));
        }
        // Whoever is not the owner any more may do none of it.
        carried.statements.extend(found.each("owner"));
        carried.statements.retain(|it| !it.is_empty());
        Ok(carried)
    }

    /// Where a view is replaced in its place everything stays but its options; and what its hooks make has to go.
    ///
    /// # Errors
    /// What the server says.
    pub fn in_place(client: &mut Client, onto: &Onto<'_>) -> Result<Carried, Error> {
        let found = Found::of(client, onto)?;
        let mut statements = found.each("option");
        if onto.hooks_follow {
            statements.extend(found.each("undone"));
        }
        Ok(Carried { row_security: String::new(), statements })
    }

    /// All at once; where that cannot be, each by itself.
    ///
    /// # Errors
    /// What the server says of row security, or if it is lost.
    pub fn put(&self, client: &mut Client) -> Result<(), Error> {
        if !self.row_security.is_empty() {
            client.batch_execute(&self.row_security)?;
        }
        if self.statements.is_empty() || tried(client, &self.statements.join("; "))? {
            return Ok(());
        }
        self.statements.iter().try_for_each(|it| tried(client, it).map(drop))
    }
}

/// Statements, each with what it is.
struct Found(Vec<(String, String)>);

impl Found {
    fn of(client: &mut Client, onto: &Onto<'_>) -> Result<Found, Error> {
        if !client.query_one(ANY, &[&onto.old])?.get::<_, bool>(0) {
            return Ok(Found(Vec::new()));
        }
        let kind = if onto.is_view { "view" } else { "table" };
        let rows = qualifying(client, |client| client.query(STATEMENTS, &[&onto.old, &onto.new, &onto.name, &kind]))?;
        Ok(Found(rows.iter().map(|it| (it.get(0), it.get(1))).collect()))
    }

    fn each(&self, kind: &str) -> Vec<String> {
        let them = self.0.iter().filter(|it| it.0 == kind);
        them.map(|it| it.1.trim_end_matches(';').to_owned()).collect()
    }

    fn together(&self, kind: &str) -> String {
        self.each(kind).join("; ")
    }
}
