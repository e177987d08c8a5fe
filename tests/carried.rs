//! What people put on tables and views in a real Postgres, and what of it is there when they have been replaced.

use crate::views::{Kept, Shop};

/// Rights, comments, options, defaults, triggers, rules, policies and owners, as the server has them.
const PUT_ON: &str = "select string_agg(it, e'\\n' order by it) from (
    select format('%s is %s', c.relname, o) from pg_class c, unnest(c.reloptions) o where c.relnamespace = 'shop'::regnamespace
    union all
    select format('%s belongs to %s', relname, relowner::regrole) from pg_class
        where relnamespace = 'shop'::regnamespace and relkind in ('r', 'v') and relname <> '_assets_tables'
        and pg_get_userbyid(relowner) like 'carried%'
    union all
    select format('%s %s for %s', c.relname, lower(a.privilege_type), case a.grantee when 0 then 'all' else a.grantee::regrole::text end)
        || case when a.is_grantable then ', to grant' else '' end
        from pg_class c, aclexplode(c.relacl) a where c.relnamespace = 'shop'::regnamespace and a.grantee <> c.relowner
    union all
    select format('%s.%s %s for %s', c.relname, a.attname, lower(x.privilege_type), x.grantee::regrole)
        from pg_attribute a join pg_class c on c.oid = a.attrelid, aclexplode(a.attacl) x
        where c.relnamespace = 'shop'::regnamespace
    union all
    select format('%s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description)
        from pg_description d join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
        where c.relnamespace = 'shop'::regnamespace
    union all
    select format('%s, column %s, default %s', c.relname, d.adnum, pg_get_expr(d.adbin, d.adrelid))
        from pg_attrdef d join pg_class c on c.oid = d.adrelid where c.relnamespace = 'shop'::regnamespace
    union all
    select format('%s has trigger %s', c.relname, t.tgname)
        from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = 'shop'::regnamespace
    union all
    select format('%s has rule %s', tablename, rulename) from pg_rules where schemaname = 'shop'
    union all
    select concat_ws(' ', tablename, 'has', lower(permissive), 'policy', policyname, cmd, roles, qual, with_check)
        from pg_policies where schemaname = 'shop'
    union all
    select format('%s hides rows', relname) || case when relforcerowsecurity then ' from its owner' else '' end
        from pg_class where relrowsecurity and relnamespace = 'shop'::regnamespace
    ) as them (it)";

/// A table, a view on it, and a view on the view; and a role that is gone when they are.
struct Kingdom {
    shop: Shop<'static>,
    role: &'static str,
}

impl Kingdom {
    fn of(role: &'static str) -> Kingdom {
        let body = "[vars]\nnumber = 1\n\
            [asset.orders]\nsql = \"select {{ vars.number }} as id, 2 as amount\"\n\
            [asset.ids]\nsql = \"select id, amount from orders\"\nmaterialized = \"view\"\n\
            [asset.few]\nsql = \"select id from ids\"\nmaterialized = \"view\"\n";
        let shop = Shop::of(Kept::Postgres, body);
        shop.ran();
        shop.run(&format!("create role {role}; grant usage, create on schema shop to {role}"));
        Kingdom { shop, role }
    }

    /// The role is `$r`.
    fn run(&self, sql: &str) {
        self.shop.run(&sql.replace("$r", self.role));
    }

    fn put_on(&self) -> Vec<String> {
        self.shop.value(PUT_ON).replace(self.role, "$r").lines().map(str::to_owned).collect()
    }

    fn edit(&self, old: &str, new: &str) {
        self.shop.project.edit("assets.toml", old, new);
    }
}

impl Drop for Kingdom {
    fn drop(&mut self) {
        self.run("drop owned by $r cascade; drop role $r");
    }
}

const ON_VIEWS: &str = "alter view ids set (security_barrier, check_option = local);
    comment on view ids is 'all of ''them'''; comment on column ids.id is 'since 1999';
    grant select on ids to $r with grant option; grant select (id), update (amount) on ids to $r;
    grant select on few to public;
    alter view ids alter column amount set default 7 + 1;
    create function aside() returns trigger language plpgsql as 'begin return null; end';
    create trigger aside instead of insert on few for each row execute function aside();
    create rule \"No More\" as on delete to few do instead nothing";

const OF_VIEWS: [&str; 11] = [
    "column id of view ids: since 1999",
    "few has rule No More",
    "few has trigger aside",
    "few select for all",
    "ids is check_option=local",
    "ids is security_barrier=true",
    "ids select for $r, to grant",
    "ids, column 2, default (7 + 1)",
    "ids.amount update for $r",
    "ids.id select for $r",
    "view ids: all of 'them'",
];

#[test]
fn views_keep_what_was_put_on_them_when_the_table_below_is_replaced() {
    let kingdom = Kingdom::of("carried_by_resting");
    kingdom.run(ON_VIEWS);
    assert_eq!(kingdom.put_on(), OF_VIEWS);
    kingdom.edit("number = 1", "number = 3");
    assert_eq!(kingdom.shop.ran(), ["few built", "ids built", "orders built"]);
    assert_eq!(kingdom.shop.value("select id from few"), "3");
    assert_eq!(kingdom.put_on(), OF_VIEWS);
}

/// In its place, where one more column comes; as another one that takes its name, where nothing rests on it.
#[test]
fn a_view_keeps_what_was_put_on_it_when_it_is_replaced_itself() {
    let kingdom = Kingdom::of("carried_by_itself");
    kingdom.run(ON_VIEWS);
    kingdom.edit("select id, amount from orders", "select id, amount, amount as more from orders where amount > 0");
    kingdom.edit("select id from ids", "select id from ids where id > 0");
    assert_eq!(kingdom.shop.project.run(&["materialize", "-s", "ids"]).succeeded().code, 0);
    assert_eq!(kingdom.put_on(), OF_VIEWS, "in its place");
    assert_eq!(kingdom.shop.ran(), ["few built"]);
    assert_eq!(kingdom.put_on(), OF_VIEWS, "another of its name");
    // Of a column that went, nothing is left but the view.
    kingdom.edit("select id, amount, amount as more", "select id, 1 as more");
    kingdom.shop.ran();
    let left: Vec<_> = OF_VIEWS.into_iter().filter(|it| !it.contains("amount") && !it.contains("column 2")).collect();
    assert_eq!(kingdom.put_on(), left);
}

#[test]
fn a_table_keeps_who_may_read_it_and_what_is_said_of_it() {
    let kingdom = Kingdom::of("carried_by_table");
    kingdom.run(
        "grant select, insert on orders to $r; grant update (id, amount) on orders to $r;
         comment on table orders is 'what was sold'; comment on column orders.amount is 'in cents';
         create policy few on orders for select to $r using (amount > 0 and id in (select 1));
         create policy none on orders as restrictive for insert with check (id > 5);
         alter table orders enable row level security",
    );
    let put = [
        "column amount of table orders: in cents",
        "orders has permissive policy few SELECT {$r} ((amount > 0) AND (id IN ( SELECT 1)))",
        "orders has restrictive policy none INSERT {public} (id > 5)",
        "orders hides rows",
        "orders insert for $r",
        "orders select for $r",
        "orders.amount update for $r",
        "orders.id update for $r",
        "table orders: what was sold",
    ];
    assert_eq!(kingdom.put_on(), put);
    kingdom.edit("number = 1", "number = 3");
    kingdom.shop.ran();
    assert_eq!(kingdom.put_on(), put);
    // Policies that do not go with the columns hide everything: rows that nobody was to see are never shown.
    kingdom.edit("2 as amount", "2 as price");
    kingdom.edit("select id, amount from orders", "select id, price as amount from orders");
    kingdom.shop.ran();
    let left = [
        "orders hides rows", //
        "orders insert for $r",
        "orders select for $r",
        "orders.id update for $r",
        "table orders: what was sold",
    ];
    assert_eq!(kingdom.put_on(), left);
}

/// Of roles that may not be had by whoever makes the table, it is made without them.
#[test]
fn a_table_stays_whose_it_is_if_that_can_be() {
    let mut kingdom = Kingdom::of("carried_by_owner");
    kingdom.run("comment on view few is 'some'; alter table orders owner to $r; alter view few owner to $r");
    kingdom.edit("number = 1", "number = 3");
    kingdom.shop.ran();
    // A view reads with the rights of whoever makes it.
    assert_eq!(kingdom.put_on(), ["orders belongs to $r", "view few: some"]);
    kingdom.run(
        "create role carried_stranger login; alter schema shop owner to carried_stranger;
         alter table _assets_tables owner to carried_stranger; alter view ids owner to carried_stranger",
    );
    kingdom.shop.connect_as("carried_stranger");
    kingdom.edit("number = 3", "number = 4");
    kingdom.shop.ran();
    let now =
        ["few belongs to carried_stranger", "ids belongs to carried_stranger", "orders belongs to carried_stranger"];
    assert_eq!(kingdom.put_on(), [&now[..], &["view few: some"]].concat());
    assert_eq!(kingdom.shop.value("select id from few"), "4");
    kingdom.run("reassign owned by carried_stranger to tester; drop role carried_stranger");
}

/// Whoever may read it would read by other rights than before.
#[test]
fn rights_on_a_view_of_somebody_else_are_not_given_on() {
    let kingdom = Kingdom::of("carried_lowly");
    kingdom.run("alter view few owner to $r; grant select on few to public; comment on view few is 'some'");
    kingdom.edit("number = 1", "number = 3");
    kingdom.shop.ran();
    assert_eq!(kingdom.put_on(), ["view few: some"]);
}

/// The first partition that has rows settles the columns: the table is another one then.
#[test]
fn a_table_of_partitions_keeps_what_was_put_on_it() {
    let kingdom = Kingdom::of("carried_parts");
    kingdom.edit(
        "[asset.ids]",
        "[partitions.part]\ntype = \"static\"\nkeys = [\"a\"]\n[asset.sold]\nsql = \"select '{{ partition.key }}' as p, 1 as n\"\n\
         partitions = \"part\"\npartition_column = \"p\"\n[asset.ids]",
    );
    kingdom.shop.ran();
    kingdom
        .run("grant select on sold to $r; comment on table sold is 'some'; alter table sold enable row level security");
    kingdom.edit("1 as n", "2.5 as n");
    kingdom.shop.ran();
    assert_eq!(kingdom.put_on(), ["sold hides rows", "sold select for $r", "table sold: some"]);
}

/// The view comes back without a rule that reads a column which went, and with everything else.
#[test]
fn what_does_not_go_with_the_new_columns_takes_nothing_else_away() {
    let kingdom = Kingdom::of("carried_in_part");
    kingdom.run(
        "grant select on few to $r; comment on view few is 'some';
         create rule copied as on delete to few do instead delete from orders where amount = old.id",
    );
    kingdom.edit("2 as amount", "2 as price");
    kingdom.edit("select id, amount from orders", "select id, price as amount from orders");
    kingdom.edit("select id from ids", "select 1 as id from (select 1) as one");
    assert_eq!(kingdom.shop.project.run(&["materialize", "-s", "few"]).succeeded().code, 0);
    let said = kingdom.shop.project.run(&["materialize", "-s", "orders"]).succeeded().stderr;
    assert!(said.contains("shop.ids, a view on it, does not go with its new columns"), "{said}");
    assert_eq!(kingdom.shop.value("select id from few"), "1");
    assert_eq!(kingdom.put_on(), ["few select for $r", "view few: some"]);
}

/// What a hook makes each time is not there when it comes; rights go with what hides rows, or not at all.
#[test]
fn hooks_make_again_what_can_be_made_once() {
    let kingdom = Kingdom::of("carried_by_hooks");
    let hooks =
        "post_hook = [\"create policy one on {{ this }} using (id = 1)\", \"comment on table {{ this }} is 'new'\"]\n";
    kingdom.edit("[asset.ids]", &format!("{hooks}[asset.ids]"));
    kingdom.shop.ran();
    kingdom
        .run("grant select on orders to $r; comment on table orders is 'old'; comment on column orders.id is 'mine'");
    kingdom.edit("number = 1", "number = 3");
    kingdom.shop.ran();
    let one = "orders has permissive policy one ALL {public} (id = 1)";
    let put = ["column id of table orders: mine", one, "orders select for $r", "table orders: new"];
    assert_eq!(kingdom.put_on(), put);
    kingdom.run("alter table orders enable row level security");
    kingdom.edit("number = 3", "number = 4");
    kingdom.shop.ran();
    assert_eq!(kingdom.put_on(), ["column id of table orders: mine", one, "orders hides rows", "table orders: new"]);
}

/// On a view that is made again below another, replaced in its place, and replaced by another.
#[test]
fn a_trigger_of_a_hook_is_never_met_by_itself() {
    let kingdom = Kingdom::of("carried_by_trigger");
    kingdom.run("create function aside() returns trigger language plpgsql as 'begin return null; end'");
    let hook = "post_hook = \"create trigger aside instead of insert on {{ this }} for each row execute function shop.aside()\"\n";
    kingdom.edit("[asset.few]", &format!("{hook}[asset.few]"));
    for (old, new) in [
        ("number = 1", "number = 3"),
        ("select id, amount from orders", "select id, amount, 1 as more from orders"),
        ("select id, amount, 1 as more from orders", "select id, amount from orders"),
    ] {
        kingdom.edit(old, new);
        kingdom.shop.ran();
        assert_eq!(kingdom.put_on(), ["ids has trigger aside"], "{new}");
    }
}

/// No server without the extension can hide anything by a label, so it is written by hand.
#[test]
fn rights_are_kept_with_what_hides_rows_or_not_at_all() {
    let kingdom = Kingdom::of("carried_hidden");
    let label = "insert into pg_seclabel values ('orders'::regclass, 'pg_class'::regclass, 0, 'nosuch', 'masked')";
    kingdom.run(&format!("grant select on orders to $r; comment on table orders is 'some'; {label}"));
    kingdom.edit("number = 1", "number = 3");
    kingdom.shop.ran();
    assert_eq!(kingdom.put_on(), ["table orders: some"]);
    // A view has no row security.
    kingdom.run("grant select on orders to $r; alter table orders enable row level security");
    kingdom.edit("[asset.ids]", "materialized = \"view\"\n[asset.ids]");
    kingdom.shop.ran();
    assert_eq!(kingdom.put_on(), ["view orders: some"]);
    // Nor does a table ask for the rights of whoever reads it.
    kingdom.run("grant select on orders to $r; alter view orders set (security_invoker)");
    kingdom.edit("materialized = \"view\"\n[asset.ids]", "[asset.ids]");
    kingdom.shop.ran();
    assert_eq!(kingdom.put_on(), ["table orders: some"]);
}
