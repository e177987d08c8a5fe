-- One row for each order, with what it brought. What came back brought nothing.
select o.order_id, o.day, o.customer_id, p.product, p.kind, o.quantity,
    case when o.status = 'returned' then 0 else o.quantity * p.cents end as cents
from {{ ref("orders") }} o
join {{ ref("products") }} p on p.product_id = o.product_id
