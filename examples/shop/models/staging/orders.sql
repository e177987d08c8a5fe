-- Every file of a month is a part of one table. What was cancelled never happened.
select id as order_id, day, customer as customer_id, product as product_id, quantity, status
from {{ ref("raw/orders") }}
where status <> 'cancelled'
