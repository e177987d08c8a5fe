select day, count(*) as orders, sum(amount) as total
from orders
group by day
order by day
