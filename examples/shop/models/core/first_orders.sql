select customer_id, min(day) as first_day, count(*) as orders
from {{ ref("orders") }}
group by customer_id
