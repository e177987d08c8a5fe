select customers.city, sum(orders.amount) as total
from orders
join customers on customers.id = orders.customer
group by customers.city
