select c.customer_id, c.name, c.city, f.first_day, f.orders, cast(sum(s.cents) as bigint) as cents
from {{ ref("customers") }} c
join {{ ref("first_orders") }} f on f.customer_id = c.customer_id
join {{ ref("sales") }} s on s.customer_id = c.customer_id
group by c.customer_id, c.name, c.city, f.first_day, f.orders
