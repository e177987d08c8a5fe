//! The models that everybody who comes from dbt knows (a shop with customers, orders and payments), as `[[models]]`,
//! in every engine: the tables hold what the SQL says, worked out here row by row.

use std::collections::BTreeMap;

use crate::support::{
    Project,
    duckdb::library,
    postgres::{Database, Server},
};

const METHODS: [&str; 4] = ["credit_card", "coupon", "bank_transfer", "gift_card"];

struct Customer {
    id: usize,
    first: String,
    last: String,
}

struct Order {
    id: usize,
    customer: usize,
    day: String,
    status: &'static str,
}

struct Payment {
    id: usize,
    order: usize,
    method: &'static str,
    cents: usize,
}

struct Seeds {
    customers: Vec<Customer>,
    orders: Vec<Order>,
    payments: Vec<Payment>,
}

/// Some customers without orders, some orders with several payments and some with none.
fn seeds() -> Seeds {
    let customers = (1..=40).map(|id| Customer { id, first: format!("First{id}"), last: format!("L{}.", id % 7) });
    let status = ["returned", "completed", "return_pending", "shipped", "placed"];
    let orders = (1..=99).map(|id| Order {
        id,
        customer: 1 + id * id % 31,
        day: format!("2026-{:02}-{:02}", 1 + id / 28, 1 + id % 28),
        status: status[id % status.len()],
    });
    let payments = (1..=113).filter(|id| id % 10 != 0).map(|id| Payment {
        id,
        order: 1 + id * 3 % 99,
        method: METHODS[id % 4],
        cents: 100 * (id * 7 % 31),
    });
    Seeds { customers: customers.collect(), orders: orders.collect(), payments: payments.collect() }
}

impl Seeds {
    fn write(&self, project: &Project) {
        let rows = |header: &str, rows: Vec<String>| format!("{header}\n{}\n", rows.join("\n"));
        let customers = self.customers.iter().map(|it| format!("{},{},{}", it.id, it.first, it.last)).collect();
        project.write("seeds/raw_customers.csv", rows("id,first_name,last_name", customers));
        let orders = self.orders.iter().map(|it| format!("{},{},{},{}", it.id, it.customer, it.day, it.status));
        project.write("seeds/raw_orders.csv", rows("id,user_id,order_date,status", orders.collect()));
        let payments = self.payments.iter().map(|it| format!("{},{},{},{}", it.id, it.order, it.method, it.cents));
        project.write("seeds/raw_payments.csv", rows("id,order_id,payment_method,amount", payments.collect()));
    }

    fn paid(&self, order: usize, method: Option<&str>) -> usize {
        let of = self.payments.iter().filter(|it| it.order == order && method.is_none_or(|one| it.method == one));
        of.map(|it| it.cents / 100).sum()
    }

    /// customer, first and last name, first and last order, how many, how much.
    fn customers(&self) -> Vec<String> {
        let row = |it: &Customer| {
            let orders: Vec<&Order> = self.orders.iter().filter(|order| order.customer == it.id).collect();
            let first = orders.iter().map(|it| it.day.as_str()).min().unwrap_or("");
            let last = orders.iter().map(|it| it.day.as_str()).max().unwrap_or("");
            let count = if orders.is_empty() { String::new() } else { orders.len().to_string() };
            // A sum over no payment at all is no number.
            let has_paid = orders.iter().any(|it| self.payments.iter().any(|paid| paid.order == it.id));
            let total: usize = orders.iter().map(|it| self.paid(it.id, None)).sum();
            let total = if has_paid { total.to_string() } else { String::new() };
            format!("{},{},{},{first},{last},{count},{total}", it.id, it.first, it.last)
        };
        sorted(self.customers.iter().map(row))
    }

    /// order, customer, day, status, one column for each method, how much.
    fn orders(&self) -> Vec<String> {
        let row = |it: &Order| {
            let is_paid = self.payments.iter().any(|paid| paid.order == it.id);
            let shown = |amount: usize| if is_paid { amount.to_string() } else { String::new() };
            let methods: Vec<String> = METHODS.iter().map(|method| shown(self.paid(it.id, Some(method)))).collect();
            let all = shown(self.paid(it.id, None));
            format!("{},{},{},{},{},{all}", it.id, it.customer, it.day, it.status, methods.join(","))
        };
        sorted(self.orders.iter().map(row))
    }
}

fn sorted(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

const STAGING: [(&str, &str); 3] = [
    ("stg_customers", "select id as customer_id, first_name, last_name from {{ ref('raw_customers') }}\n"),
    ("stg_orders", "select id as order_id, user_id as customer_id, order_date, status from {{ ref('raw_orders') }}\n"),
    (
        "stg_payments",
        "-- Amounts come in cents.\nselect id as payment_id, order_id, payment_method, amount / 100 as amount\n\
         from {{ ref('raw_payments') }}\n",
    ),
];

const CUSTOMERS: &str = "with
orders_of as (
    select customer_id, min(order_date) as first_order, max(order_date) as most_recent_order, count(*) as number_of_orders
    from {{ ref('stg_orders') }}
    group by customer_id
),
payments_of as (
    select o.customer_id, cast(sum(p.amount) as bigint) as total_amount
    from {{ ref('stg_payments') }} p
    left join {{ ref('stg_orders') }} o on o.order_id = p.order_id
    group by o.customer_id
)
select c.customer_id, c.first_name, c.last_name, o.first_order, o.most_recent_order, o.number_of_orders,
    p.total_amount as customer_lifetime_value
from {{ ref('stg_customers') }} c
left join orders_of o on o.customer_id = c.customer_id
left join payments_of p on p.customer_id = c.customer_id
";

const ORDERS: &str = "{% set methods = ['credit_card', 'coupon', 'bank_transfer', 'gift_card'] %}
with order_payments as (
    select order_id,
    {% for method in methods %}
        cast(sum(case when payment_method = '{{ method }}' then amount else 0 end) as bigint) as {{ method }}_amount,
    {% endfor %}
        cast(sum(amount) as bigint) as total_amount
    from {{ ref('stg_payments') }}
    group by order_id
)
select o.order_id, o.customer_id, o.order_date, o.status,
    {% for method in methods %} p.{{ method }}_amount, {% endfor %}
    p.total_amount as amount
from {{ ref('stg_orders') }} o
left join order_payments p on p.order_id = o.order_id
";

const CHECKS: &str = r#"
[asset.customers]
checks = [{ unique = ["customer_id"] }, { not_null = ["customer_id"] }]
[asset.orders]
checks = [
    { unique = ["order_id"] },
    { not_null = ["order_id", "customer_id"] },
    { accepted_values = { column = "status", values = ["placed", "shipped", "completed", "return_pending", "returned"] } },
    { relationships = { column = "customer_id", to = "customers", field = "customer_id" } },
]
"#;

fn shop(seeds: &Seeds, io: &str) -> Project {
    let mut manifest = format!("{io}\n[[models]]\nfiles = [\"models/*.sql\", \"models/staging/*.sql\"]\n{CHECKS}");
    for name in ["raw_customers", "raw_orders", "raw_payments"] {
        manifest += &format!("[source.{name}]\nfiles = [\"seeds/{name}.csv\"]\n");
    }
    let project = STAGING.iter().fold(Project::new().manifest(&manifest), |project, (name, text)| {
        project.file(&format!("models/staging/{name}.sql"), text)
    });
    let project = project.file("models/customers.sql", CUSTOMERS).file("models/orders.sql", ORDERS);
    seeds.write(&project);
    project
}

fn rows(project: &Project, key: &str) -> Vec<String> {
    let told = project.run(&["preview", key, "-n", "1000", "--format", "csv"]).succeeded();
    sorted(told.stdout.lines().skip(1).map(str::to_owned))
}

fn holds_what_the_sql_says(project: &Project, seeds: &Seeds) {
    let outcomes: BTreeMap<String, String> = project.materialized(&[]).into_iter().collect();
    let all = ["customers", "orders", "stg_customers", "stg_orders", "stg_payments"];
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), all.map(|it| (it.to_owned(), "built".to_owned())));
    assert_eq!(rows(project, "customers"), seeds.customers());
    assert_eq!(rows(project, "orders"), seeds.orders());
    project.settled(&[]);
}

#[test]
fn in_files() {
    let seeds = seeds();
    holds_what_the_sql_says(&shop(&seeds, "[io.files]\ntype = \"fs\"\nroot = \"data\""), &seeds);
}

#[test]
fn in_sqlite() {
    let seeds = seeds();
    holds_what_the_sql_says(&shop(&seeds, "[io.db]\ntype = \"sqlite\"\npath = \"shop.sqlite\""), &seeds);
}

#[test]
fn in_postgres() {
    let database: Database<'_> = Server::shared().database();
    let seeds = seeds();
    let project = shop(&seeds, "[io.pg]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"");
    holds_what_the_sql_says(&project.env("DATABASE_URL", &database.url()), &seeds);
}

#[test]
fn in_duckdb() {
    let seeds = seeds();
    let project = shop(&seeds, "[io.duck]\ntype = \"duckdb\"\npath = \"shop.duckdb\"");
    holds_what_the_sql_says(&project.env("ASSETS_DUCKDB_LIBRARY", library().to_str().unwrap()), &seeds);
}
